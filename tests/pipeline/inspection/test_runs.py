"""`runs`, `stop` and `retry` against a server, through unchanged boto3."""

import json
from typing import Any

import pytest

from pipeline import command
from pipeline.execution.ran_with import RanWith, same
from pipeline.inspection import run_summary
from pipeline.retry.__main__ import main as retry
from pipeline.run import main as run
from pipeline.runs.__main__ import main as runs
from pipeline.stop.__main__ import main as stop
from tests.pipeline.execution import steps


def ran(main: Any, *words: str) -> int:
    return command.ended(main, ["--env", "local", *words])


@pytest.fixture
def ended(deployed: Any) -> Any:
    """Two executions: of defaults, and with another rank. Each described one has succeeded."""
    deployed.moments = deployed.moments[-1:]
    assert (
        ran(run, "--token", "first") == ran(run, "--token", "second", "--set", "LoraRank=32") == 0
    )
    return deployed


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert ran(runs, "--json", *words) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["runs"]
    return found


def test_the_list_has_who_what_differed_and_the_result(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, oldest = listed(capsys)
    assert (newest["name"], newest["differs"]) == ("second", {"LoraRank": "32"})
    assert (oldest["name"], oldest["differs"]) == ("first", {})
    assert newest["who"] == "anna"
    assert (newest["status"], newest["version"], newest["eval_loss"]) == ("Succeeded", "3", 2.6843)
    assert ran(runs) == 0
    shown = capsys.readouterr().out
    assert "LoraRank=32" in shown
    assert "the defaults" in shown


def test_the_list_is_filtered_by_person_status_and_number(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(listed(capsys, "--most", "1")) == 1
    assert len(listed(capsys, "--who", "ann")) == 2
    assert listed(capsys, "--who", "ben") == []
    assert listed(capsys, "--status", "Rejected") == []
    assert ran(runs, "--most", "0") == 2


def test_a_rejected_execution_is_listed_as_rejected(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rejected = {"status": "Failed", "steps": [steps.PREPARED, steps.TRAINED, steps.REJECTED]}
    ended.moments = [rejected]
    assert {each["status"] for each in listed(capsys)} == {"Rejected"}


def test_an_execution_that_ended_is_not_stopped(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(stop, "run000000000") == 1
    assert "has ended: Succeeded; it cannot be stopped" in capsys.readouterr().err
    assert "StopPipelineExecution" not in ended.calls


def test_a_stop_that_is_repeated_has_the_same_token(ended: Any) -> None:
    ended.moments = [{"status": "Executing", "steps": [steps.PREPARED]}]
    assert ran(stop, "run000000000") == ran(stop, "run000000000") == 0
    tokens = {request["ClientRequestToken"] for request in ended.stops}
    assert len(ended.stops) == 2
    assert len(tokens) == 1
    assert 32 <= len(tokens.pop()) <= 128  # botocore's model of the request


def test_a_failed_execution_is_retried_and_a_rejected_or_finished_one_is_not(
    ended: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(retry, "run000000000") == 1
    assert "expected an execution that failed or was stopped" in capsys.readouterr().err
    ended.moments = [{"status": "Failed", "steps": [steps.TRAINED, steps.REJECTED]}]
    assert ran(retry, "run000000000") == 1
    assert "pipeline.run --env local --follow --from run000000000 --set" in capsys.readouterr().err
    assert ended.retries == []
    ended.moments = [{"status": "Failed", "steps": [steps.PREPARED]}]
    assert ran(retry, "run000000000") == 0
    assert len(ended.retries) == 1


@pytest.mark.parametrize(
    ("described", "who"),
    [
        ({"CreatedBy": {"UserProfileName": "anna", "IamIdentity": {"Arn": "a/b"}}}, "anna"),
        ({"CreatedBy": {"IamIdentity": {"Arn": "arn:aws:sts::0:assumed-role/r/ben"}}}, "ben"),
        ({}, "unknown"),
    ],
)
def test_the_starter_is_the_profile_or_the_session(described: dict[str, Any], who: str) -> None:
    assert run_summary.starter(described) == who


def test_numbers_are_compared_as_numbers() -> None:
    assert same("2.0E-4", "0.0002")
    assert not same("2.0E-4", "0.0003")
    assert not same("auto", "off")
    ran_with = RanWith({"Rate": "0.0002", "Seed": "17"}, {"Rate": "2.0E-4", "Seed": "18"})
    assert ran_with.differing == {"Seed": ("17", "18")}
