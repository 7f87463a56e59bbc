"""`run --follow` against a server: each change is shown, and the result is printed."""

import json
import re
import time
from typing import Any

import pytest

from pipeline import command, run
from pipeline.configuration import config
from pipeline.execution import start
from pipeline.execution.outcome import Outcome, Progress
from tests.pipeline.execution.steps import (
    JOB,
    OUTPUTS,
    PASSED,
    PREPARED,
    REASON,
    REGISTERED,
    REJECTED,
    TRAINED,
)


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
    shown = capsys.readouterr()
    rows = dict(
        re.split(r"\s{2,}|(?<=execution) |(?<=eval loss) |(?<=model uri) ", line, maxsplit=1)
        for line in shown.out.splitlines()
    )
    assert rows["status"] == "Succeeded"
    assert rows["Train"] == "Succeeded  1 min 40 s"
    assert "7.6300 → 2.6843 nats per target token" in shown.out
    assert "edgar.models.risk_analyst version 3" in shown.out
    assert rows["alias"] == "challenger"
    lines = [
        line
        for line in shown.err.splitlines()
        if line.startswith(("Prepare", "Train", "Gate", "Register"))
    ]
    changes = (
        "Prepare Succeeded, Train Executing, Train Succeeded, Gate Succeeded, Register Succeeded"
    )
    assert ", ".join(" ".join(line.split()[:2]) for line in lines) == changes
    assert lines[2].endswith("before 7.6300 · eval loss 2.6843")
    assert "\x1b" not in shown.err, "plain lines without a terminal"


def test_a_spot_job_that_lost_its_instance_shows_it(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lived = ("Starting", "Training", "Interrupted", "Starting", "Training", "Completed")
    moments = [{"Status": status, "StartTime": 1} for status in lived]
    deployed.jobs[JOB.rsplit("/", 1)[-1]]["SecondaryStatusTransitions"] = moments
    assert ran("--follow") == 0
    assert "eval loss 2.6843 · spot instance lost 1 ×" in capsys.readouterr().err


def test_what_register_waits_for_is_shown_when_it_changes(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {
        "StepName": "Register",
        "StepStatus": "Executing",
        "StartTime": time.time(),  # too soon to look for its worker
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
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line.startswith("Register")]
    assert [line.partition("waits: ")[2] for line in lines] == ["", *notes[:2], ""], (
        "each note once"
    )
    assert [
        step["waits"] for step in json.loads(shown.out)["steps"] if step["name"] == "Register"
    ] == [""]


def test_the_result_as_json(deployed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--follow", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["eval_loss_before"], result["eval_loss"]) == (7.63, 2.6843)
    assert {name: result[name] for name in OUTPUTS} == OUTPUTS
    names = ["Limits", "Prepare", "Train", "Gate", "Register"]
    assert [step["name"] for step in result["steps"]] == names


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


def test_interrupting_prints_that_the_execution_continues(
    deployed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start.follow, "__kwdefaults__", {"timing": start.Timing(sleep=interrupt)})
    assert ran("--follow", "--token", "mine", "--set", "Seed=4") == 130
    error = capsys.readouterr().err
    assert "the execution continues" in error
    assert (
        "follow it:  python -m pipeline.run --env local --set Seed=4 --token mine --follow" in error
    )
    stop = re.search(r"stop it: +python -m pipeline\.stop --env local (\S+)", error)
    assert stop is not None
    assert [arn.rsplit("/", 1)[-1] for arn in deployed.executions] == [stop[1]]


def test_a_refused_description_ends_the_following_and_not_the_execution(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.deny("ListPipelineExecutionSteps", "AccessDeniedException", "no")
    assert ran("--follow") == 1
    assert "the execution continues" in capsys.readouterr().err


def test_each_change_is_shown_and_an_ended_job_is_described_once(
    deployed: Any, configured: config.Config, client: Any
) -> None:
    deployed.moments = [
        *deployed.moments[:2],
        *[{"status": "Executing", "steps": [PREPARED, TRAINED]}] * 3,
        deployed.moments[2],
    ]
    seen: list[Progress] = []
    arn = start.start(configured, client, {})
    ended: Outcome = start.follow(configured, client, arn, show=seen.append)
    assert ended.succeeded
    assert [step.status for step in seen[0].steps] == ["Waiting"] * 5
    assert deployed.calls.count("DescribeTrainingJob") == 2, "while it ran, and when it had ended"


def test_the_wait_between_two_looks_grows_with_the_time_that_passed(
    deployed: Any, configured: config.Config, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_SHORTEST_SECONDS", 1.0)
    monkeypatch.setattr(start, "_LONGEST_SECONDS", 15.0)
    deployed.moments = [{"status": "Executing", "steps": []}] * 4 + [
        {"status": "Succeeded", "steps": []}
    ]
    times, waits = iter([0.0, 0.0, 10.0, 200.0, 3600.0]), list[float]()
    arn = start.start(configured, client, {})
    timing = start.Timing(sleep=waits.append, clock=lambda: next(times))
    start.follow(configured, client, arn, show=lambda _: None, timing=timing)
    assert waits == [1.0, 1.0, 4.0, 15.0]
