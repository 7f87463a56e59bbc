"""The live events of each step are valid, and of the same runs and datasets as the projection."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steps.governance.names import UcName
from steps.governance.openlineage.target import Target
from steps.prepare import run_events as prepare_events
from steps.prepare.arguments import parse as parse_prepare
from steps.register import run_events as register_events
from steps.trace.formats.projection import project
from steps.train.arguments import parse as parse_train
from steps.train.stopping import Stopped
from steps.train.tracking import run_events as train_events
from tests.compiled_steps import arguments as compiled
from tests.steps.trace.formats.fixed_evidence import EXECUTION, evidence
from tests.steps.trace.formats.openlineage_schemas import faults

FOUND = evidence(2)


@dataclass(frozen=True)
class Registered:
    outputs: dict[str, str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def argv(path: Path) -> list[str]:
    words = compiled("Prepare", "dev")
    words[words.index("--execution-arn") + 1] = EXECUTION
    return [*words, "--openlineage", f"file:{path}"]


def hyperparameters(path: Path) -> dict[str, str]:
    return compiled("Train", "dev") | {"execution_arn": EXECUTION, "openlineage": f"file:{path}"}


def events(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [fault for event in found for fault in faults(event)] == []
    assert "databricks" not in path.read_text()
    return found


def projected(step: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in project("openlineage", FOUND).splitlines()]
    return next(
        line
        for line in lines
        if line["eventType"] == "COMPLETE" and line["job"]["name"].endswith(step)
    )


def same(live: dict[str, Any], step: str) -> None:
    """Compare what the job and a reader of its record both know."""
    record = projected(step)
    assert live["run"]["runId"] == record["run"]["runId"]
    assert live["run"]["facets"]["parent"] == record["run"]["facets"]["parent"]
    assert live["job"] == record["job"]
    for side in ("inputs", "outputs"):
        assert _names(live[side]) == _names(record[side])


def _names(datasets: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [
        (
            each["namespace"],
            each["name"],
            each.get("facets", {}).get("version", {}).get("datasetVersion"),
        )
        for each in datasets
    ]


def test_prepare_reports_the_tables_of_its_manifest(path: Path) -> None:
    with prepare_events.reported(parse_prepare(argv(path))) as finished:
        finished(FOUND.prepared)
    start, complete = events(path)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    same(complete, "prepare")
    facets = complete["outputs"][0]["facets"]
    assert facets == projected("prepare")["outputs"][0]["facets"]


def test_train_reports_its_data_and_archive(path: Path) -> None:
    parsed = parse_train(hyperparameters(path))
    inputs = (FOUND.prepared, FOUND.trained.base_model)
    job = FOUND.trained.training_job
    with train_events.reported(parsed, job, inputs=inputs, leader=True) as finished:
        finished(FOUND.trained)
    start, complete = events(path)
    assert start["inputs"] == complete["inputs"]
    same(complete, "train")


def test_one_process_of_a_training_job_reports(path: Path) -> None:
    parsed = parse_train(hyperparameters(path))
    inputs = (FOUND.prepared, FOUND.trained.base_model)
    with train_events.reported(parsed, "job", inputs=inputs, leader=False) as finished:
        finished(FOUND.trained)
    assert not path.exists()


def test_an_interrupted_training_job_is_aborted(path: Path) -> None:
    parsed = parse_train(hyperparameters(path))
    inputs = (FOUND.prepared, FOUND.trained.base_model)
    with (
        pytest.raises(Stopped),
        train_events.reported(parsed, "job", inputs=inputs, leader=True),
    ):
        raise Stopped
    assert [event["eventType"] for event in events(path)] == ["START", "ABORT"]


def test_register_reports_the_model_version(path: Path) -> None:
    registration: Any = SimpleNamespace(
        facts=SimpleNamespace(
            execution=SimpleNamespace(
                arn=EXECUTION, name=lambda _: UcName.parse(FOUND.record.model.name)
            ),
            trained=FOUND.trained,
            training_job={"ModelArtifacts": {"S3ModelArtifacts": FOUND.record.artifact.uri}},
        ),
        region="us-east-1",
        worker=FOUND.record.register_,
        run=lambda _: Registered({"model_version": "3"}),
    )
    workspace: Any = None
    registered = register_events.reported(registration, Target("file", str(path)), workspace)
    assert registered.outputs == {"model_version": "3"}
    start, complete = events(path)
    assert start["outputs"] == []
    same(complete, "register")
