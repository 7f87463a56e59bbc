"""The record of version 2: each field, with its source, and what is refused where two disagree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from steps.governance.documents import canonical
from steps.governance.documents.document import Manifest
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record
from steps.governance.errors import IntegrityError
from steps.register.cross_check import cross_check
from steps.register.facts import Facts
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, manifests
from tests.steps.register.support.deliveries import deliver, refused_with
from tests.steps.register.support.execution_state import PREPARE_IMAGE, STARTER
from tests.steps.register.support.register_environment import REGISTER_BUILD, REGISTER_IMAGE

pytestmark = pytest.mark.environment


@pytest.fixture
def facts(worker: Worker, execution: executions.Execution) -> Facts:
    return worker.services.facts.read(execution.arn)


def test_the_record_repeats_each_fact_of_its_services_and_manifests(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    record = execution.evidence("record.json")
    assert record["schema"] == "governed-finetune/registered/2"
    assert record["execution"]["started_by"] == {"arn": STARTER}
    assert record["execution"]["pipeline_version_id"] == 4
    prepare, train = record["prepare"], record["train"]
    assert prepare["image"] == PREPARE_IMAGE
    assert (prepare["spark_version"], prepare["build"]) == ("4.0.1", manifests.PREPARE_BUILD)
    assert prepare["billed"] == {
        "seconds": 61,
        "vcpu_hours": 0.068,
        "memory_gb_hours": 0.136,
        "storage_gb_hours": 0.0,
    }
    assert (train["build"], train["billed"]) == (manifests.TRAIN_BUILD, {"seconds": 30})
    assert record["register"] == {"image": REGISTER_IMAGE, "build": REGISTER_BUILD}
    assert record["membership"] == manifests.MEMBERSHIP
    raw, curated = record["readings"]
    assert (raw["principal"], curated["principal"]) == ("prepare", "train")
    assert raw["grants"][0]["privilege"] == "SELECT"
    assert record["ledger"].keys() == {"number", "sha256"}
    stored = Record.from_bytes(canonical.dumps(record), origin="record.json")
    assert stored.to_bytes() == canonical.dumps(record)


def test_a_starter_in_studio_has_a_profile(worker: Worker, execution: executions.Execution) -> None:
    profile = "arn:aws:sagemaker:us-east-1:000000000000:user-profile/d-1/somebody"
    execution.state["created_by"] = {"UserProfileArn": profile, "UserProfileName": "somebody"}
    starter = worker.services.facts.read(execution.arn).execution.started_by
    assert (starter.arn, starter.user_profile) == (None, profile)


def test_the_application_is_asked_for_a_digest_that_the_job_run_does_not_state(
    worker: Worker, execution: executions.Execution
) -> None:
    applied = execution.state["prepare_job"].pop("imageConfiguration")
    stub = execution.environment.stub
    stub.application = {"imageConfiguration": applied}
    assert worker.services.facts.read(execution.arn).image.pinned == PREPARE_IMAGE
    stub.application = {"imageConfiguration": {"imageUri": applied["imageUri"]}}
    with pytest.raises(IntegrityError, match=r"the image of .* is not known"):
        worker.services.facts.read(execution.arn)


def test_a_tag_gets_the_digest_that_it_was_resolved_to(facts: Facts) -> None:
    image = replace(facts.image, uri="registry/prepare:local")
    assert image.pinned == f"registry/prepare:local@{facts.image.digest}"


def _prepared(facts: Facts, **changes: Any) -> Facts:
    """Return the facts with another manifest of Prepare, as if everything had been made from it."""
    prepared = facts.prepared.model_copy(update=changes)
    data = facts.trained.data.model_copy(update={"manifest_sha256": prepared.sha256})
    changed = replace(facts, prepared=prepared, prepared_sha256=prepared.sha256)
    return _trained(changed, data=data)


def _trained(facts: Facts, **changes: Any) -> Facts:
    trained = facts.trained.model_copy(update=changes)
    return replace(facts, trained=trained, trained_sha256=trained.sha256)


def _reading(manifest: Prepared | Trained, **changes: str) -> dict[str, Any]:
    assert manifest.reading is not None
    return {"reading": manifest.reading.model_copy(update=changes)}


READINGS: list[tuple[Callable[[Facts], Facts], str]] = [
    (lambda facts: _prepared(facts, **_reading(facts.prepared, principal="x")), "Prepare's"),
    (lambda facts: _prepared(facts, **_reading(facts.prepared, table="a.b.c")), "Prepare's"),
    (lambda facts: _trained(facts, **_reading(facts.trained, principal="x")), "Train's"),
    (lambda facts: _trained(facts, **_reading(facts.trained, table="a.b.c")), "Train's"),
]


def test_a_reading_of_another_table_or_principal_is_refused(facts: Facts) -> None:
    cross_check(_prepared(facts, created_at="2026-11-22T05:00:01Z"))
    for change, whose in READINGS:
        with pytest.raises(IntegrityError, match=f"{whose} reading"):
            cross_check(change(facts))


def older(manifest: Manifest, name: str) -> bytes:
    """Return a manifest as version 1 has it."""
    later = ("raw_files", "membership", "reading", "build", "spark_version")
    document = manifest.model_dump(exclude_none=True, by_alias=True)
    kept = {key: value for key, value in document.items() if key not in later}
    return canonical.dumps(kept | {"schema": f"governed-finetune/{name}/1"})


@pytest.mark.parametrize("name", ["prepared", "trained"])
def test_a_manifest_of_an_older_image_is_refused_before_any_effect(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    facts = worker.services.facts.read(execution.arn)
    if name == "prepared":
        prepared = Prepared.from_bytes(older(facts.prepared, name), origin="prepare")
        facts = replace(facts, prepared=prepared)
    else:
        facts = replace(facts, trained=Trained.from_bytes(older(facts.trained, name), origin="t"))
    monkeypatch.setattr(worker.services.facts, "read", lambda arn: facts)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "lacks what a record repeats of it, nothing was registered" in refused_with(execution)
    assert execution.versions() == []
    with pytest.raises(execution.environment.client("s3").exceptions.NoSuchKey):
        execution.evidence("artifact.json")


def test_the_readings_of_a_manifest_of_version_1_are_not_compared(facts: Facts) -> None:
    prepared = Prepared.from_bytes(older(facts.prepared, "prepared"), origin="prepare")
    assert prepared.reading is None
    data = facts.trained.data.model_copy(update={"manifest_sha256": prepared.sha256})
    changed = replace(facts, prepared=prepared, prepared_sha256=prepared.sha256)
    cross_check(_trained(changed, data=data))
