"""The standards' own libraries and schemas accept every projection, of records of each version."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import json_format

from pipeline.configuration import parameters
from steps.governance.curated_columns import CURATED, SCHEMA_SHA256
from steps.governance.documents.canonical import sha256
from steps.governance.openlineage.events import Step
from steps.governance.signing import provenance
from steps.prepare import schemas
from steps.prepare.filings import columns
from steps.trace.formats.projection import project
from steps.trace.record_evidence import RecordEvidence
from tests.steps.trace.formats.fixed_evidence import (
    EXECUTION,
    evidence,
    parsed,
    prepared,
    record,
    trained,
)
from tests.steps.trace.formats.openlineage_schemas import faults

VERSIONS = pytest.mark.parametrize("version", [1, 2])


@VERSIONS
def test_the_statement_is_an_in_toto_statement_with_slsa_provenance(version: int) -> None:
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    statement = json.loads(provenance.statement(evidence(version).record))
    message = json_format.ParseDict(statement, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    # ParseDict refuses fields that the predicate does not have.
    predicate = json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())
    assert predicate.run_details.metadata.invocation_id == EXECUTION
    digests = [subject["digest"]["sha256"] for subject in statement["subject"]]
    assert digests == [
        evidence(version).record.artifact.sha256,
        sha256(evidence(version).record_bytes),
    ]


@VERSIONS
def test_openlineage_s_schemas_accept_the_events(version: int) -> None:
    events = _events(evidence(version))
    assert [fault for event in events for fault in faults(event)] == []
    kinds = [(event["job"]["name"].rpartition(".")[2], event["eventType"]) for event in events]
    assert kinds == [
        (step, kind) for step in ("prepare", "train", "register") for kind in ("START", "COMPLETE")
    ]
    runs = {event["run"]["runId"] for event in events}
    assert len(runs) == 3
    assert Step(EXECUTION, "prepare").run_id in runs
    ends = [events[number]["outputs"][0] for number in (1, 3)]
    starts = [events[number]["inputs"][0] for number in (2, 4)]
    assert ends == starts  # the output of a step is the input of the next one


def test_openlineage_s_schemas_refuse_a_wrong_event() -> None:
    [event, *_] = _events(evidence(2))
    wrong = json.loads(json.dumps(event))
    wrong["eventTime"] = "yesterday"
    wrong["run"]["facets"]["parent"]["run"]["runId"] = "no-uuid"
    assert len(faults(wrong)) >= 2


@VERSIONS
@pytest.mark.parametrize(("name", "spec"), [("cyclonedx", "V1_7"), ("cyclonedx-1.6", "V1_6")])
def test_cyclonedx_s_strict_validator_accepts_the_bom(name: str, spec: str, version: int) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion[spec])
    content = project(name, evidence(version)).decode()
    assert validator.validate_str(content) is None
    unknown = content.replace('"modelCard"', '"modelcard"')
    assert validator.validate_str(unknown) is not None
    bom = json.loads(content)
    references = {entry["ref"] for entry in bom["dependencies"]}
    named = {each["bom-ref"] for each in (bom["metadata"]["component"], *bom["components"])}
    assert references <= named


@pytest.mark.parametrize(
    ("spelled", "licence"),
    [("apache-2.0", {"id": "Apache-2.0"}), ("llama9", {"name": "llama9"})],
)
def test_a_licence_is_an_spdx_identifier_where_there_is_one(
    spelled: str, licence: dict[str, str]
) -> None:
    document = record(2)
    document["base_model"] = document["base_model"] | {"licence": spelled}
    bom = json.loads(project("cyclonedx", parsed(document, prepared(2), trained(2))))
    assert bom["components"][0]["licenses"] == [{"license": licence}]


@VERSIONS
@pytest.mark.filterwarnings(  # of mlcroissant 1.1.1 itself
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning",
    "ignore:The inplace keyword in DataFrame.reset_index:DeprecationWarning",
)
def test_mlcroissant_loads_the_dataset_and_its_files(version: int, tmp_path: Path) -> None:
    import mlcroissant

    found, rows = _with_real_files(version, tmp_path)
    (tmp_path / "croissant.json").write_bytes(project("croissant", found))
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "croissant.json")
    assert dataset.metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    assert not dataset.metadata.ctx.issues.errors
    assert dataset.metadata.data_use_cases
    loaded = [record["examples/completion"] for record in dataset.records("examples")]
    assert sorted(text.decode() for text in loaded) == sorted(rows)


def test_unknown_columns_are_left_out() -> None:
    document = prepared(2) | {"schema_sha256": "0" * 64}
    other = parsed(record(2), document, trained(2))
    assert json.loads(project("croissant", other))["recordSet"] == []
    facets = _events(other)[1]["outputs"][0]["facets"]
    assert sorted(facets) == ["symlinks", "version"]


def test_the_columns_are_those_that_prepare_writes() -> None:
    assert schemas.EXAMPLES.sha256 == SCHEMA_SHA256
    sources = {name for column in CURATED for name in column.always_from}
    assert sources == set(columns.REQUIRED)


def test_the_listed_parameters_are_those_of_the_pipeline() -> None:
    assert set(parameters.BY_NAME) == provenance.PARAMETERS


def _events(found: RecordEvidence) -> list[dict[str, Any]]:
    return [json.loads(line) for line in project("openlineage", found).splitlines()]


def _with_real_files(version: int, folder: Path) -> tuple[RecordEvidence, list[str]]:
    """Write the curated files, and return evidence with their digests and the completions."""
    document, rows = prepared(version), []
    for number, file in enumerate(document["files"]):
        path = folder / file["path"]
        path.parent.mkdir(exist_ok=True)
        texts = [f"heading {number}-{row}" for row in range(3)]
        content = {field.name: [None] * 3 for field in schemas.EXAMPLES.file_arrow}
        content |= {"completion": texts, "year": [2026] * 3}
        pq.write_table(pa.table(content, schema=schemas.EXAMPLES.file_arrow), path)
        file["sha256"] = sha256(path.read_bytes())
        rows += texts
    found = parsed(record(version), document, trained(version))
    return replace(found, filings=None), rows
