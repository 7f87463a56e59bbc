"""A workspace that fails any one call of the tracker, or requests a pause of an hour.

No value is lost by one failure, and training never waits longer than the tracker's own bound.
"""

import time
from collections.abc import Iterator

import pytest

from steps.governance.unity_catalog.identity import Workspace
from steps.train.tracking import live_tracker
from steps.train.tracking.live_tracker import LiveTracker
from steps.train.tracking.mlflow_run import MlflowRun
from tests.steps.train.support.experiments_server import (
    ExperimentsServer,
    about,
    serving,
    workspace,
)
from tests.steps.troubled_proxy import ASKING, Proxy, before, demands, losses, recorded


@pytest.fixture
def server() -> Iterator[ExperimentsServer]:
    with serving() as started:
        yield started


@pytest.fixture
def proxy(server: ExperimentsServer) -> Iterator[Proxy]:
    with before(server.host) as started:
        yield started


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the tracker's first pause; its longest pause is unchanged."""
    monkeypatch.setattr(live_tracker, "_FIRST_PAUSE_SECONDS", 0.05)


def track(
    server: ExperimentsServer, proxy: Proxy, job: str, *, within_seconds: float = 20.0
) -> LiveTracker:
    """Track one job of two steps."""
    there = Workspace(proxy.host, "train-app", workspace(server).client)
    run = MlflowRun(
        there,
        experiment="/Shared/e",
        about=about(job),
    )
    tracker = LiveTracker(run)
    tracker.log(1, {"train_loss": 3.5})
    tracker.log(2, {"train_loss": 3.25})
    tracker.finish("FINISHED", within_seconds)
    return tracker


def test_a_fault_at_any_call_loses_no_value_and_costs_no_time(
    server: ExperimentsServer, proxy: Proxy
) -> None:
    calls = recorded(proxy, lambda: track(server, proxy, "job-0"))
    assert "POST /api/2.0/mlflow/experiments/create" in calls
    for count, (number, fault) in enumerate([*losses(calls), *demands(calls)], 1):
        server.runs.clear()
        server.experiments.clear()
        proxy.arm(number, fault)
        began = time.monotonic()
        tracker = track(server, proxy, f"job-{count}")
        assert proxy.fired
        assert time.monotonic() - began < 10, calls[number]
        run = next(run for run in server.runs if run["info"]["run_id"] == tracker.run_id)
        assert {(point["step"], point["value"]) for point in run["metrics"]} == {
            (1, 3.5),
            (2, 3.25),
        }
        assert run["info"]["status"] == "FINISHED"
        assert not [problem for problem in tracker.problems if "did not reach" in problem]


def test_a_service_that_requests_an_hour_delays_the_jobs_end_by_the_bound_only(
    server: ExperimentsServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "note", lambda _: ASKING[429])
    began = time.monotonic()
    tracker = track(server, proxy, "job-1", within_seconds=1.0)
    assert 1.0 <= time.monotonic() - began < 5
    waits, late, lost = tracker.problems
    assert "live metrics wait, training continues" in waits
    assert "asked to wait 3600 s" in waits
    assert "not all was sent within 1 s" in late
    assert "2 values did not reach the MLflow run" in lost
