"""`run` against a server, through unchanged boto3: what is started, and what is refused."""

import json
import re
from typing import Any

import pytest

from pipeline import command, run
from pipeline.configuration import config
from pipeline.configuration.parameters import BY_NAME
from pipeline.deployment import deploy
from pipeline.errors import UsageError
from pipeline.execution import start
from pipeline.runs import __main__ as runs


def ran(*words: str) -> int:
    return command.ended(run.main, ["--env", "local", *words])


def test_every_fault_of_set_is_reported_and_nothing_starts(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        ran("--set", "MaxEvalLos=1", "--set", "Epochs=1.5", "--set", "TrainInstanceType=ml.g5.huge")
        == 2
    )
    error = capsys.readouterr().err
    assert "the parameters have 3 faults" in error
    assert "MaxEvalLos         is not a parameter; did you mean 'MaxEvalLoss'?" in error
    assert "Epochs             expected a whole number (≥ 1 and ≤ 20), got '1.5'" in error
    assert (
        "TrainInstanceType  expected one of ml.g5.xlarge ml.g5.2xlarge … ml.p6-b300.48xlarge, "
        "got 'ml.g5.huge'" in error
    )
    assert deployed.executions == {}


def test_a_parameter_that_is_not_deployed_yet_is_refused_with_what_to_do(
    deployed: Any, configured: config.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = deployed.pipelines[configured.pipeline.name]
    tree = json.loads(stored["PipelineDefinition"])
    tree["Parameters"] = [
        parameter for parameter in tree["Parameters"] if parameter["Name"] != "Seed"
    ]
    tree["Parameters"][0]["EnumValues"] = ["a.b.c"]
    stored["PipelineDefinition"] = json.dumps(tree)
    assert ran("--set", "Seed=1", "--set", "RawTable=edgar.raw.filings") == 2
    error = capsys.readouterr().err
    assert (
        "Seed      is not a parameter of the deployed definition, "
        "which is older than this checkout; "
        "run upsert" in error
    )
    assert (
        "RawTable  expected one of a.b.c (the deployed definition), got 'edgar.raw.filings'"
        in error
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--set", "Seed"), "expected --set Name=value, got 'Seed'"),
        (("--set", "Seed=1", "--set", "Seed=2"), "expected each name once, got --set Seed= twice"),
        (
            ("--token", "no spaces"),
            "expected a token of letters, digits and hyphens (82 at most), got 'no spaces'",
        ),
        (
            ("--from", "arn:aws:sagemaker:us-east-1:000000000000:pipeline/other/execution/a"),
            "expected an execution of",
        ),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    words: tuple[str, ...], text: str, deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*words) == 2
    assert text in capsys.readouterr().err
    assert deployed.executions == {}


def test_a_missing_pipeline_is_refused_with_the_command_that_deploys_it(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran() == 2
    assert capsys.readouterr().err.endswith(
        "pipeline 'governed-finetune-local' does not exist in account 000000000000, us-east-1; "
        "deploy it: python -m pipeline.upsert --env local\n"
    )


def test_the_list_of_a_missing_pipeline_has_the_command_that_deploys_it(
    service: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(command.ROLE, "scientist")
    assert command.ended(runs.main, ["--env", "local"]) == 1
    assert capsys.readouterr().err.endswith(
        '\n  do  deploy it: eval "$(python -m pipeline.local env --as ci)" && '
        "python -m pipeline.upsert --env local\n"
    )


def test_the_same_token_and_parameters_start_one_execution(deployed: Any) -> None:
    assert ran("--token", "tuesday-1", "--set", "Seed=1") == 0
    assert ran("--token", "tuesday-1", "--set", "Seed=1") == 0
    assert len(deployed.executions) == 1
    assert ran("--token", "tuesday-2", "--set", "Seed=1") == 0
    assert len(deployed.executions) == 2
    assert (
        next(iter(deployed.executions.values()))["request"]["PipelineExecutionDisplayName"]
        == "tuesday-1"
    )


@pytest.mark.parametrize("conflicts", [False, True])
def test_a_token_with_other_parameters_is_refused(
    deployed: Any, capsys: pytest.CaptureFixture[str], conflicts: bool
) -> None:
    assert ran("--token", "tuesday-1", "--set", "Seed=1") == 0
    if conflicts:  # as the stand-in does it
        deployed.deny("StartPipelineExecution", "ConflictException", "other parameters")
    for words in (["--set", "Seed=2"], [], ["--set", "Seed=1", "--set", "LoraRank=32"]):
        assert ran("--token", "tuesday-1", *words) == 2
        error = capsys.readouterr().err
        assert "the token 'tuesday-1' has started an execution with other parameters" in error
        assert "choose another --token" in error
    assert len(deployed.executions) == 1


def test_without_a_token_each_start_is_another_execution(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran() == ran() == 0
    assert len(deployed.executions) == 2
    first, second = re.findall(r"^token +(\S+)$", capsys.readouterr().err, re.MULTILINE)
    assert first != second


NO_FP8 = (
    "Fp8Mode  native needs FP8 arithmetic (g6 g6e p5 p5e p5en p6-b200 p6-b300), which "
    "ml.g5.16xlarge lacks "
    "(A10G, compute capability 8.6); auto takes the best"
)


def test_native_fp8_is_refused_before_an_instance_without_it_is_paid_for(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # With the instance type that the deployed definition has
    assert ran("--set", "Fp8Mode=native") == 2
    assert NO_FP8 in capsys.readouterr().err
    assert deployed.executions == {}
    assert ran("--set", "Fp8Mode=native", "--set", "TrainInstanceType=ml.g6.xlarge") == 0


def test_a_lost_answer_starts_nothing_twice(deployed: Any) -> None:
    deployed.lose_answers_to.add("StartPipelineExecution")
    assert ran() == 0
    assert deployed.calls.count("StartPipelineExecution") == 2
    assert len(deployed.executions) == 1


def test_a_refused_start_shows_the_token_to_try_again_with(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.deny("StartPipelineExecution", "AccessDeniedException", "no")
    assert ran("--token", "mine") == 1
    assert "the same command with --token mine starts nothing twice" in capsys.readouterr().err


def test_from_takes_all_parameters_of_an_execution_even_if_the_defaults_have_changed(
    deployed: Any, configured: config.Config, compiled: str, client: Any
) -> None:
    first = start.start(configured, client, {"Seed": "5"}, token="first")
    deploy.deploy(
        configured, client, compiled.replace('"DefaultValue": 7.0', '"DefaultValue": 2.5')
    )
    source = first.rsplit("/", 1)[-1]
    second = start.prepared(
        configured, client, {"LoraRank": "8"}, token="second", source=source
    ).send(client)
    values = {
        p["Name"]: p["Value"] for p in deployed.executions[second]["request"]["PipelineParameters"]
    }
    assert (values["Seed"], values["LoraRank"], values["MaxEvalLoss"]) == ("5", "8", "7.0")
    assert values.keys() == BY_NAME.keys()


def test_from_a_missing_execution_is_refused(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--from", "nosuchrun") == 1
    assert "ResourceNotFound" in capsys.readouterr().err


def test_a_start_from_python_is_checked_too(
    deployed: Any, configured: config.Config, client: Any
) -> None:
    with pytest.raises(UsageError, match="did you mean 'Seed'"):
        start.start(configured, client, {"Sed": "1"})
