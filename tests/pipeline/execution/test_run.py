"""run, through unchanged boto3 against a server: started once, followed to its end, and its result told."""

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline import command, config, run
from pipeline.deployment import deploy
from pipeline.errors import UsageError
from pipeline.execution import progress, start
from pipeline.execution.outcome import Outcome, Progress, StepState
from pipeline.parameters import BY_NAME

JOB = "arn:aws:sagemaker:us-east-1:000000000000:training-job/pipelines-run000000000-Train-x"
PREPARED = {
    "StepName": "Prepare",
    "StepStatus": "Succeeded",
    "StartTime": 0,
    "EndTime": 12.5,
    "Metadata": {"EMRServerless": {"JobRunId": "00j"}},
}
TRAINING = {
    "StepName": "Train",
    "StepStatus": "Executing",
    "StartTime": 13,
    "Metadata": {"TrainingJob": {"Arn": JOB}},
}
TRAINED = TRAINING | {"StepStatus": "Succeeded", "EndTime": 113}
PASSED = {
    "StepName": "Gate",
    "StepStatus": "Succeeded",
    "StartTime": 113,
    "EndTime": 113,
    "Metadata": {"Condition": {"Outcome": "True"}},
}
OUTPUTS = {
    "model_version": "3",
    "model_uri": "models:/edgar.models.risk_analyst/3",
    "record_uri": "s3://e/record.json",
}
REGISTERED = {
    "StepName": "Register", "StepStatus": "Succeeded", "StartTime": 114, "EndTime": 115,
    "Metadata": {"Callback": {"OutputParameters": [{"Name": name, "Value": value} for name, value in OUTPUTS.items()]}},
}  # fmt: skip
REASON = (
    "eval loss 7.2 is not within MaxEvalLoss 7.0 (nats per target token); nothing was registered"
)
REJECTED = {
    "StepName": "Rejected",
    "StepStatus": "Failed",
    "StartTime": 114,
    "EndTime": 114,
    "Metadata": {"Fail": {"ErrorMessage": REASON}},
}
LOSSES = [
    {"MetricName": "eval:loss_before", "Value": 7.63, "Timestamp": 20},
    {"MetricName": "eval:loss", "Value": 2.6843, "Timestamp": 110},
]


@pytest.fixture
def deployed(
    service: Any,
    configured: config.Config,
    client: Any,
    compiled: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The service with the pipeline in it, a good execution to come, and no waiting between two looks."""
    deploy.deploy(configured, client, compiled)
    service.calls.clear()
    service.jobs[JOB.rsplit("/", 1)[-1]] = {"TrainingJobName": "x", "FinalMetricDataList": LOSSES}
    service.moments = [
        {"status": "Executing", "steps": []},
        {"status": "Executing", "steps": [PREPARED, TRAINING]},
        {"status": "Succeeded", "steps": [PREPARED, TRAINED, PASSED, REGISTERED]},
    ]
    monkeypatch.setattr(start, "_SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(start, "_LONGEST_SECONDS", 0.001)
    return service


def ran(*words: str) -> int:
    return command.ended(run.main, ["--env", "local", *words])


def sent(service: Any) -> dict[str, str]:
    [started] = service.executions.values()
    return {
        parameter["Name"]: parameter["Value"]
        for parameter in started["request"]["PipelineParameters"]
    }


def test_an_execution_is_followed_to_its_result(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--set", "MaxEvalLoss=7.5", "--follow") == 0
    assert sent(deployed) == {"MaxEvalLoss": "7.5"}
    told = capsys.readouterr()
    rows = dict(
        re.split(r"\s{2,}|(?<=execution) |(?<=eval loss) |(?<=model uri) ", line, maxsplit=1)
        for line in told.out.splitlines()
    )
    assert rows["status"] == "Succeeded"
    assert rows["Train"] == "Succeeded  1 min 40 s"
    assert "7.6300 → 2.6843 nats per target token" in told.out
    assert "edgar.models.risk_analyst version 3" in told.out
    assert rows["alias"] == "challenger"
    lines = [
        line
        for line in told.err.splitlines()
        if line.startswith(("Prepare", "Train", "Gate", "Register"))
    ]
    changes = (
        "Prepare Succeeded, Train Executing, Train Succeeded, Gate Succeeded, Register Succeeded"
    )
    assert ", ".join(" ".join(line.split()[:2]) for line in lines) == changes
    assert lines[2].endswith("before 7.6300 · eval loss 2.6843")
    assert "\x1b" not in told.err, "plain lines where there is no terminal"


def test_a_spot_job_that_lost_its_instance_shows_it(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lived = ("Starting", "Training", "Interrupted", "Starting", "Training", "Completed")
    moments = [{"Status": status, "StartTime": 1} for status in lived]
    deployed.jobs[JOB.rsplit("/", 1)[-1]]["SecondaryStatusTransitions"] = moments
    assert ran("--follow") == 0
    assert "eval loss 2.6843 · spot instance lost 1 ×" in capsys.readouterr().err


def test_what_register_waits_for_is_shown_as_it_changes(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {
        "StepName": "Register",
        "StepStatus": "Executing",
        "StartTime": 114,
        "Metadata": {"Callback": {}},
    }
    notes = [f"no schema a.b; next attempt in {2 * i} s (attempt {i + 1} of 10)" for i in (1, 2, 2)]
    descriptions = [
        "mine",
        f"mine · Register waits: {notes[0]}",
        *(f"Register waits: {note}" for note in notes[1:]),
    ]
    looks = [
        {"status": "Executing", "steps": [TRAINED, waiting], "description": text}
        for text in descriptions
    ]
    deployed.moments = [
        *looks,
        {"status": "Succeeded", "steps": [TRAINED, REGISTERED], "description": "mine"},
    ]
    assert ran("--follow", "--json") == 0
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("Register")]
    assert [line.partition("waits: ")[2] for line in lines] == ["", *notes[:2], ""], (
        "each note once"
    )
    assert [
        step["waits"] for step in json.loads(told.out)["steps"] if step["name"] == "Register"
    ] == [""]


def test_the_result_as_json(deployed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--follow", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["eval_loss_before"], told["eval_loss"]) == (7.63, 2.6843)
    assert {name: told[name] for name in OUTPUTS} == OUTPUTS
    assert [step["name"] for step in told["steps"]] == ["Prepare", "Train", "Gate", "Register"]


def test_a_rejected_execution_exits_1_with_loss_and_bound(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.moments = [
        {
            "status": "Failed",
            "steps": [PREPARED, TRAINED, PASSED, REJECTED],
            "reason": "Step failure",
        }
    ]
    assert ran("--follow") == 1
    out = capsys.readouterr().out
    assert f"reason     Rejected: {REASON}" in out
    assert "Register   not reached" in out
    assert "model " not in out


@pytest.mark.parametrize("status", ["Stopped", "Failed", "CompletedWithFailures"])
def test_every_other_end_exits_1(
    status: str, deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.moments = [
        {"status": "Stopping", "steps": []},
        {"status": status, "steps": [], "reason": "because"},
    ]
    assert ran("--follow") == 1
    assert "reason     because" in capsys.readouterr().out


def test_every_fault_of_set_is_told_and_nothing_starts(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        ran("--set", "MaxEvalLos=1", "--set", "Epochs=1.5", "--set", "TrainInstanceType=ml.g5.huge")
        == 2
    )
    error = capsys.readouterr().err
    assert "the parameters have 3 faults" in error
    assert "MaxEvalLos         is no parameter; did you mean 'MaxEvalLoss'?" in error
    assert "Epochs             expected a whole number (≥ 1 and ≤ 20), got '1.5'" in error
    assert (
        "TrainInstanceType  expected one of ml.g5.xlarge ml.g5.2xlarge … ml.p5en.48xlarge, got 'ml.g5.huge'"
        in error
    )
    assert deployed.executions == {}


def test_a_parameter_that_is_not_deployed_yet_says_so(
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
        "Seed      is no parameter of the deployed definition, which is older than this checkout; run upsert"
        in error
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


def test_a_pipeline_that_is_not_there_says_how_to_deploy_it(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran() == 2
    assert capsys.readouterr().err.endswith(
        "there is no pipeline 'governed-finetune-local' in account 000000000000, us-east-1; "
        "deploy it: python -m pipeline.upsert --env local\n"
    )


def test_the_same_token_and_parameters_start_one_execution(deployed: Any) -> None:
    assert ran("--token", "tuesday-1", "--set", "Seed=1") == 0
    assert ran("--token", "tuesday-1", "--set", "Seed=1") == 0
    assert len(deployed.executions) == 1
    assert ran("--token", "tuesday-1", "--set", "Seed=2") == 0
    assert ran("--token", "tuesday-2", "--set", "Seed=1") == 0
    assert len(deployed.executions) == 3
    assert (
        next(iter(deployed.executions.values()))["request"]["PipelineExecutionDisplayName"]
        == "tuesday-1"
    )


def test_without_a_token_each_start_is_its_own(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran() == ran() == 0
    assert len(deployed.executions) == 2
    first, second = re.findall(r"^token +(\S+)$", capsys.readouterr().err, re.MULTILINE)
    assert first != second


NO_FP8 = (
    "Fp8Mode  native needs FP8 arithmetic (g6 g6e p5 p5e p5en), ml.g5.16xlarge has none "
    "(A10G, compute capability 8.6); auto takes the best"
)


def test_native_fp8_is_refused_before_an_instance_without_it_is_paid_for(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        ran("--set", "Fp8Mode=native") == 2
    )  # with the instance type that the deployed definition has
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


def test_from_takes_all_parameters_of_an_execution_even_when_the_defaults_moved_on(
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


def test_from_an_execution_that_is_not_there_is_refused(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--from", "nosuchrun") == 1
    assert "ResourceNotFound" in capsys.readouterr().err


def test_interrupting_says_that_the_execution_goes_on(
    deployed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start.follow, "__kwdefaults__", {"sleep": interrupt, "clock": lambda: 0.0})
    assert ran("--follow", "--token", "mine", "--set", "Seed=4") == 130
    error = capsys.readouterr().err
    assert "the execution goes on" in error
    assert (
        "follow it:  python -m pipeline.run --env local --set Seed=4 --token mine --follow" in error
    )
    stop = re.search(
        r"stop-pipeline-execution --pipeline-execution-arn (\S+) --client-request-token (\S+)",
        error,
    )
    assert stop is not None
    assert stop[1] in deployed.executions
    assert 32 <= len(stop[2]) <= 128


def test_losing_sight_is_not_the_end_of_the_execution(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.deny("ListPipelineExecutionSteps", "AccessDeniedException", "no")
    assert ran("--follow") == 1
    assert "the execution goes on" in capsys.readouterr().err


def test_each_change_is_shown_and_an_ended_job_is_asked_once(
    deployed: Any, configured: config.Config, client: Any
) -> None:
    deployed.moments = [
        *deployed.moments[:2],
        *[{"status": "Executing", "steps": [PREPARED, TRAINED]}] * 3,
        deployed.moments[2],
    ]
    seen: list[Progress] = []
    arn = start.start(configured, client, {})
    ended: Outcome = start.follow(configured, client, arn, show=seen.append, sleep=lambda _: None)
    assert ended.succeeded
    assert [step.status for step in seen[0].steps] == ["Waiting"] * 4
    assert deployed.calls.count("DescribeTrainingJob") == 2, "while it ran, and when it had ended"


def test_waiting_grows_with_the_time_that_passed(
    deployed: Any, configured: config.Config, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_SHORTEST_SECONDS", 1.0)
    monkeypatch.setattr(start, "_LONGEST_SECONDS", 15.0)
    deployed.moments = [{"status": "Executing", "steps": []}] * 4 + [
        {"status": "Succeeded", "steps": []}
    ]
    times, waits = iter([0.0, 0.0, 10.0, 200.0, 3600.0]), list[float]()
    arn = start.start(configured, client, {})
    start.follow(
        configured, client, arn, show=lambda _: None, sleep=waits.append, clock=lambda: next(times)
    )
    assert waits == [1.0, 1.0, 4.0, 15.0]


def test_a_start_is_checked_as_a_library_too(
    deployed: Any, configured: config.Config, client: Any
) -> None:
    with pytest.raises(UsageError, match="did you mean 'Seed'"):
        start.start(configured, client, {"Sed": "1"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_table_whose_text_is_not_markup() -> None:
    failed = StepState(
        "Train",
        "Failed",
        datetime(2026, 11, 22, tzinfo=UTC),
        datetime(2026, 11, 22, 0, 1, tzinfo=UTC),
        "no [red]",
    )
    terminal = Terminal()
    with progress.shown(terminal) as show:
        show(
            Progress(
                "arn:aws:sagemaker:us-east-1:0:pipeline/p/execution/abc",
                "Failed",
                (StepState("Prepare"), failed),
            )
        )
    shown = terminal.getvalue()
    assert "pipeline/p/execution/abc" in shown
    assert re.search(r"Prepare.*Waiting", shown)
    assert re.search(r"Train.*Failed.*1 min 00 s.*no \[red\]", shown)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.21, "3.2 s"), (60, "1 min 00 s"), (260.4, "4 min 20 s"), (3840, "1 h 04 min")],
)
def test_a_duration_is_told_in_the_units_of_its_size(seconds: float | None, text: str) -> None:
    assert progress.duration(seconds) == text
