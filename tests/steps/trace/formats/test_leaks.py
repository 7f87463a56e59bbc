"""A projection contains only the texts that its table in docs/formats.md lists."""

from functools import cache

import pytest

from steps.trace.formats.projection import NAMES, project
from steps.trace.record_evidence import RecordEvidence
from tests.steps.trace.formats.canaries import CANARY, with_canaries
from tests.steps.trace.formats.fixed_evidence import evidence, parsed, prepared, record, trained

_TABLES = {"prepared.source.table", "prepared.target.table"}
_PLACES = {"prepared.source.location", "prepared.target.location"}
_HYPERPARAMETERS = {
    f"record.train.hyperparameters.{name}" for name in ("seed", "learning_rate", "lora_rank")
}
_TIMES = {"record.registered_at", "record.train.started_at", "record.train.ended_at"}
_BOM = {
    *("record.raw.table", "record.curated.table", "record.model.name", "record.base_model.name"),
    *("record.base_model.licence", "record.train.instance_type", "prepared.template"),
    *("record.fp8.requested", "record.fp8.effective", "record.fp8.dtype"),
    *("record.prepare.image", "record.train.image", "record.register.image"),
    *("record.execution.started_at", *_TIMES, *_HYPERPARAMETERS),
}
ALLOWED = {
    "slsa": {
        *("record.registered_at", "record.execution.started_at", "record.execution.arn"),
        *("record.execution.pipeline_arn", "record.prepare.release_label", "record.raw.table"),
        *("record.raw.location", "record.curated.table", "record.curated.location"),
        *("record.train.instance_type", "record.base_model.name", "record.artifact.uri"),
        *(f"record.execution.parameters.{name}" for name in ("Seed", "RawTable", "ModelAlias")),
    },
    "openlineage": {
        *("record.execution.arn", "record.prepare.spark_version", "record.artifact.uri"),
        *("record.model.name", "prepared.created_at", "prepared.reading.read_at"),
        *("trained.training_job", "trained.base_model.name"),
        *(*_TABLES, *_PLACES, *_HYPERPARAMETERS, *_TIMES),
    },
    "cyclonedx": _BOM,
    "cyclonedx-1.6": _BOM,
    "croissant": {
        *("record.model.name", "record.base_model.name", "prepared.created_at"),
        *("prepared.target.partition", "prepared.template", *_TABLES),
        *("prepared.files.0.path", "prepared.files.1.path"),
    },
    "training-summary": {
        *("record.model.name", "record.base_model.name", "record.base_model.licence"),
        *("prepared.source.table", "prepared.template"),
    },
}
PUBLIC = ("cyclonedx", "cyclonedx-1.6", "croissant", "training-summary")


@cache
def _canaries() -> list[tuple[str, RecordEvidence]]:
    return list(with_canaries())


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_another_field_is_projected(name: str) -> None:
    found = {path for path, each in _canaries() if CANARY in project(name, each).decode()}
    assert found == ALLOWED[name]
    assert len(_canaries()) > 100


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameters", ["hyperparameters", "parameters"])
def test_no_unlisted_parameter_is_projected(name: str, parameters: str) -> None:
    document = record(1)
    holder = document["train" if parameters == "hyperparameters" else "execution"]
    names = ("password", "mlflow_experiment", "databricks_host", "databricks_secret_id", CANARY)
    holder[parameters] = dict.fromkeys(names, f"{CANARY}-value")
    assert CANARY not in project(name, parsed(document, prepared(1), trained(1))).decode()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_document_has_no_place_account_job_principal_or_grant(name: str) -> None:
    content = project(name, evidence(2)).decode()
    private = ("s3://", "arn:", "111111111111", "principal-", "granted-group", "dkr.ecr", "dbc-1")
    assert [text for text in private if text in content] == []
    assert "governed-finetune-dev-train-4x7k" not in content
