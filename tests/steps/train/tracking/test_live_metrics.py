"""Live metrics through the real databricks-sdk, also when the workspace fails.

Training does not notice such a failure.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from steps.governance import logs
from steps.governance.errors import NameRefused
from steps.train.tracking.live_tracker import LiveTracker
from steps.train.tracking.mlflow_run import MOST_POINTS, MlflowRun
from tests.steps.train.support.experiments_server import (
    DATASET,
    DROP,
    HANG,
    TOKEN,
    ExperimentsServer,
    about,
    serving,
    workspace,
)

EXPERIMENT, JOB = "/Shared/governed-finetune-test", "pipelines-0123456789ab-Train-1"
PREFIX = "governed_finetune."


@pytest.fixture
def server(caplog: pytest.LogCaptureFixture) -> Iterator[ExperimentsServer]:
    """A server. After the test, nothing in the log may contain the token."""
    logs.hold_back_secrets()
    with serving() as started:
        yield started
    assert TOKEN not in caplog.text


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


def run_of(server: ExperimentsServer, job: str = JOB) -> MlflowRun:
    return MlflowRun(
        workspace(server),
        experiment=EXPERIMENT,
        about=about(job),
    )


def finished(server: ExperimentsServer, *steps: int, status: Any = "FINISHED") -> LiveTracker:
    """Return a tracker that logged these steps and ended."""
    tracker = LiveTracker(run_of(server))
    for step in steps:
        tracker.log(step, {"train_loss": step / 2})
    tracker.finish(status)
    return tracker


def test_values_arrive_with_their_steps_in_a_run_with_tags_and_params(
    server: ExperimentsServer,
) -> None:
    tracker = LiveTracker(run_of(server))
    tracker.log(1, {"train_loss": 3.5, "grad_norm": 0.25})
    tracker.log(2, {"train_loss": 3.25})
    tracker.tag({"fp8_effective": "storage"})
    tracker.flush()
    assert (tracker.run_id, server.runs[0]["info"]["status"]) == ("run-0", "RUNNING")
    assert server.values("train_loss") == [(1, 3.5), (2, 3.25)]
    assert server.values("grad_norm") == [(1, 0.25)]
    tracker.finish("FINISHED")
    assert server.tags() == {
        f"{PREFIX}training_job": JOB,
        f"{PREFIX}base_model": "tiny",
        f"{PREFIX}fp8_effective": "storage",
    }
    assert (server.runs[0]["info"]["run_name"], server.runs[0]["params"]) == (
        f"run of {JOB}",
        {"seed": "17"},
    )
    assert server.runs[0]["inputs"] == [DATASET.as_dict()]
    assert server.runs[0]["info"]["status"] == "FINISHED"
    assert tracker.problems == []


def test_many_values_are_sent_in_few_requests_of_at_most_the_allowed_size(
    server: ExperimentsServer,
) -> None:
    tracker = LiveTracker(run_of(server))
    for step in range(1000):
        tracker.log(step, {"train_loss": 1.0, "grad_norm": 2.0, "learning_rate": 3.0})
    tracker.finish("FINISHED")
    sizes = [
        len(body["metrics"]) for body in server.requests("runs/log-batch") if body.get("metrics")
    ]
    assert sum(sizes) == 3000
    assert max(sizes) == MOST_POINTS
    assert [step for step, _ in server.values("train_loss")] == list(range(1000))


def test_nan_and_infinity_are_sent_by_their_protobuf_names(
    server: ExperimentsServer,
) -> None:
    tracker = LiveTracker(run_of(server))
    tracker.log(1, {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "count": 3})
    tracker.finish("FINISHED")
    assert {point["key"]: point["value"] for point in server.runs[0]["metrics"]} == {
        "nan": "NaN",
        "inf": "Infinity",
        "-inf": "-Infinity",
        "count": 3.0,
    }
    assert tracker.problems == []


def test_a_job_that_starts_again_continues_its_run(server: ExperimentsServer) -> None:
    finished(server, 1, 2, status="KILLED")
    assert server.runs[0]["info"]["status"] == "KILLED"
    again = LiveTracker(run_of(server))
    again.log(3, {"train_loss": 1.5})
    again.flush()
    assert server.runs[0]["info"]["status"] == "RUNNING"
    again.finish("FINISHED")
    assert (len(server.runs), server.runs[0]["info"]["status"]) == (1, "FINISHED")
    assert [step for step, _ in server.values("train_loss")] == [1, 2, 3]


def test_another_job_has_another_run(server: ExperimentsServer) -> None:
    finished(server, 1)
    LiveTracker(run_of(server, "other-job")).finish("FINISHED")
    assert [run["info"]["run_name"] for run in server.runs] == [f"run of {JOB}", "run of other-job"]


@pytest.mark.parametrize(
    "path",
    [
        "experiments/get-by-name",
        "experiments/create",
        "runs/search",
        "runs/create",
        "runs/log-batch",
        "runs/update",
    ],
)
def test_a_lost_answer_leaves_one_experiment_one_run_and_every_value(
    server: ExperimentsServer, path: str
) -> None:
    server.trouble = [(path, DROP)]
    tracker = finished(server, 1, 2)
    assert server.trouble == []
    assert (len(server.experiments), len(server.runs)) == (1, 1)
    assert server.values("train_loss") == [(1, 0.5), (2, 1.0)]
    assert server.runs[0]["info"]["status"] == "FINISHED"
    assert len(tracker.problems) == 1


def test_of_two_runs_of_a_job_the_one_that_began_first_is_used(
    server: ExperimentsServer,
) -> None:
    late = run_of(server)
    finished(server, 1)
    run = server.runs.pop()
    server.trouble = [("runs/create", HANG)]
    tracker = LiveTracker(late)
    assert server.hanging.wait(60)
    # The other's creation, after our search
    server.runs.append(run | {"info": run["info"] | {"start_time": 1}})
    server.released.set()
    tracker.finish("FINISHED")
    assert (len(server.runs), tracker.run_id) == (2, "run-0")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_failing_workspace_is_logged_once_and_loses_nothing(
    server: ExperimentsServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.trouble = [("runs/log-batch", status), ("runs/log-batch", status)]
    tracker = finished(server, 1, 2)
    assert server.values("train_loss") == [(1, 0.5), (2, 1.0)]
    assert [
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    ] == tracker.problems
    assert len(tracker.problems) == 1
    assert "live metrics wait, training continues" in tracker.problems[0]


def test_training_does_not_wait_for_a_workspace_that_hangs(
    server: ExperimentsServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.trouble = [("experiments/get-by-name", HANG)]
    tracker = LiveTracker(run_of(server))
    for step in range(500):
        tracker.log(step, {"train_loss": 1.0})
    assert server.answered <= 1, (
        "more requests than that for the host's description were answered: training waited"
    )
    tracker.finish("FINISHED", within_seconds=0.05)
    assert not server.released.is_set(), "the end did not wait either"
    assert tracker.problems == [
        "live metrics: not all was sent within 0.05 s of the job's end",
        "live metrics: 500 values did not reach the MLflow run; the job's log has them all",
    ]
    assert [record.getMessage() for record in caplog.records] == tracker.problems


def test_a_workspace_that_dies_is_logged_once_and_lost_values_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as server:
        tracker = LiveTracker(run_of(server))
        tracker.log(1, {"train_loss": 1.0})
        tracker.flush()
    for step in range(2, 12):
        tracker.log(step, {"train_loss": 1.0})
    tracker.finish("FAILED", within_seconds=2.5)
    assert server.values("train_loss") == [(1, 1.0)]
    assert [text.partition(":")[2].split(";")[0] for text in tracker.problems[1:]] == [
        " not all was sent within 2.5 s of the job's end",
        " 10 values did not reach the MLflow run",
    ]
    assert (
        "the workspace gave no answer while train-app tried to write to run run-0"
        in tracker.problems[0]
    )
    assert len(caplog.records) == 3


@pytest.mark.parametrize(
    ("status", "what", "do"),
    [
        (401, "train-app", "check that the service principal and its OAuth secret exist and are"),
        (
            403,
            "the workspace refused train-app",
            "give train-app CAN EDIT there, or set train.mlflow_experiment to null",
        ),
    ],
)
def test_a_refusal_is_logged_once_with_what_to_do_and_not_retried(
    server: ExperimentsServer, status: int, what: str, do: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.trouble = [("runs/log-batch", status)] * 2
    tracker = LiveTracker(run_of(server))
    tracker.log(1, {"train_loss": 1.0})
    tracker.flush()
    tracker.log(2, {"train_loss": 1.0})
    tracker.finish("FINISHED")
    assert len(server.trouble) == 1, "one request was refused, no other was sent"
    assert f"live metrics end here, training continues: {what}" in tracker.problems[0]
    assert do in tracker.problems[0]
    assert "2 values did not reach" in tracker.problems[1]
    assert [record.getMessage() for record in caplog.records] == tracker.problems


def test_a_full_queue_drops_its_oldest_values_and_counts_them(server: ExperimentsServer) -> None:
    server.trouble = [("experiments/get-by-name", HANG)]
    tracker = LiveTracker(run_of(server), capacity=10)
    for step in range(25):
        tracker.log(step, {"train_loss": 1.0})
    assert tracker.problems == [
        "live metrics: 15 values did not reach the MLflow run; the job's log has them all"
    ]
    server.released.set()
    tracker.finish("FINISHED")
    assert [step for step, _ in server.values("train_loss")] == list(range(15, 25))
    assert len(tracker.problems) == 1


class _Broken:
    id = None

    def open(self) -> None:
        raise ValueError(TOKEN)


def test_a_defect_in_our_code_ends_live_metrics_and_not_training(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken: Any = _Broken()
    tracker = LiveTracker(broken)
    tracker.log(1, {"train_loss": 1.0})
    tracker.finish("FINISHED")
    assert tracker.problems[0] == "live metrics end here because of a defect: ValueError in open"
    assert TOKEN not in caplog.text


def test_a_job_name_that_would_change_the_search_is_refused(server: ExperimentsServer) -> None:
    with pytest.raises(NameRefused, match="a training job's name was refused"):
        run_of(server, "x' OR 'a")
