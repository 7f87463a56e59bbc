"""`run --from E --reuse` takes E's examples, and what Prepare would refuse is refused at once."""

from typing import Any

import pytest

from pipeline import command, run
from pipeline.configuration import config
from pipeline.deployment import deploy
from pipeline.execution import start
from tests.pipeline.execution import steps


class Earlier:
    """An execution of the deployed pipeline whose Prepare has succeeded."""

    def __init__(self, service: Any, configured: config.Config, client: Any) -> None:
        self.service, self.name = service, configured.pipeline.name
        self.arn = start.start(configured, client, {}, token="earlier")
        self.id = self.arn.rsplit("/", 1)[-1]
        service.moments = [{"status": "Succeeded", "steps": [steps.PREPARED]}]

    def again(self, *words: str) -> int:
        return command.ended(run.main, ["--env", "local", "--token", "again", *words])

    @property
    def started(self) -> dict[str, str]:
        [second] = [each for arn, each in self.service.executions.items() if arn != self.arn]
        return {each["Name"]: each["Value"] for each in second["request"]["PipelineParameters"]}

    def deployed_since(self, old: str, new: str) -> None:
        stored = self.service.pipelines[self.name]
        assert old in stored["PipelineDefinition"]
        stored["PipelineDefinition"] = stored["PipelineDefinition"].replace(old, new)


@pytest.fixture
def earlier(service: Any, configured: config.Config, client: Any, compiled: str) -> Earlier:
    deploy.deploy(configured, client, compiled)
    return Earlier(service, configured, client)


def test_reuse_takes_the_examples_of_the_source(earlier: Earlier) -> None:
    assert earlier.again("--from", earlier.id, "--reuse", "--set", "LoraRank=32") == 0
    assert earlier.started["CuratedFrom"] == earlier.id
    assert earlier.started["LoraRank"] == "32"


def test_another_seed_of_the_training_keeps_the_examples(earlier: Earlier) -> None:
    """Prepare's seed is in the configuration: both trainings have the same held-out set."""
    assert earlier.again("--from", earlier.id, "--reuse", "--set", "Seed=18") == 0
    assert (earlier.started["CuratedFrom"], earlier.started["Seed"]) == (earlier.id, "18")


def test_without_the_option_it_is_offered(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert earlier.again("--from", earlier.id, "--set", "LearningRate=0.001") == 0
    assert earlier.started["CuratedFrom"] == "none"
    assert "with --reuse it verifies them instead" in capsys.readouterr().err


@pytest.mark.parametrize(
    "setting",
    ["RawTable=edgar.raw.others", "CuratedTable=edgar.curated.others"],
)
def test_what_prepare_depends_on_is_refused_and_not_offered(
    earlier: Earlier, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    assert earlier.again("--from", earlier.id, "--reuse", "--set", setting) == 2
    assert setting.partition("=")[2] in capsys.readouterr().err
    assert len(earlier.service.executions) == 1
    assert earlier.again("--from", earlier.id, "--set", setting) == 0
    assert "--reuse" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("steps/prepare/__main__.py", "steps/other.py"),
        ('"0.2"', '"0.3"'),
        ('"--seed", "17"', '"--seed", "18"'),
        (":local", ":other"),
    ],
)
def test_another_configuration_or_image_is_refused(
    earlier: Earlier, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    earlier.deployed_since(old, new)
    assert earlier.again("--set", f"CuratedFrom={earlier.id}") == 2
    error = capsys.readouterr().err
    assert "cannot be used again" in error
    assert "--set CuratedFrom=none" in error


def test_the_version_that_the_newest_one_was_is_left_to_prepare(
    earlier: Earlier, configured: config.Config, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the manifest has the number that was the newest one."""
    assert earlier.again("--from", earlier.id, "--reuse", "--set", "RawTableVersion=5") == 0
    assert (earlier.started["CuratedFrom"], earlier.started["RawTableVersion"]) == (earlier.id, "5")
    fixed = start.start(configured, client, {"RawTableVersion": "5"}, token="fixed")
    words = ["--from", fixed.rsplit("/", 1)[-1], "--reuse", "--set", "RawTableVersion=6"]
    assert command.ended(run.main, ["--env", "local", "--token", "other", *words]) == 2
    assert "--raw-version: 6, and there 5" in capsys.readouterr().err


def test_an_execution_whose_prepare_failed_is_refused(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {**steps.PREPARED, "StepStatus": "Failed"}
    earlier.service.moments = [{"status": "Failed", "steps": [failed]}]
    assert earlier.again("--from", earlier.id, "--reuse") == 2
    assert "its Prepare has not succeeded: Failed" in capsys.readouterr().err


def test_of_an_execution_that_reused_its_source_is_taken(
    earlier: Earlier, configured: config.Config, client: Any
) -> None:
    middle = start.start(configured, client, {"CuratedFrom": earlier.id}, token="middle")
    for words in ([], ["--reuse"]):
        token = f"again{len(words)}"
        source = ["--from", middle.rsplit("/", 1)[-1], "--set", "LoraRank=32"]
        assert command.ended(run.main, ["--env", "local", "--token", token, *source, *words]) == 0
        request = list(earlier.service.executions.values())[-1]["request"]
        given = {each["Name"]: each["Value"] for each in request["PipelineParameters"]}
        assert given["CuratedFrom"] == earlier.id


def test_reuse_needs_a_source(earlier: Earlier, capsys: pytest.CaptureFixture[str]) -> None:
    assert earlier.again("--reuse") == 2
    assert "--reuse needs --from" in capsys.readouterr().err
