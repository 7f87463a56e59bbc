"""The record as an in-toto Statement v1 with SLSA provenance v1.

If `record.dsse.json` is stored, its payload is the statement, byte for byte. For a record without
one (version 1), the statement is composed here; nobody signed it.

Sources: https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1.
"""

from typing import Any

from steps.governance import canonical
from steps.governance.reading import Build
from steps.trace.formats import public
from steps.trace.record_evidence import RecordEvidence

BUILD_TYPE = "urn:governed-finetune:execution:1"


def project(evidence: RecordEvidence) -> bytes:
    """Return the signed statement, or the one composed from the record."""
    if evidence.envelope is not None:
        return evidence.envelope.content + b"\n"
    return canonical.dumps(statement(evidence)) + b"\n"


def statement(evidence: RecordEvidence) -> dict[str, Any]:
    """Return the statement composed from the record."""
    record = evidence.record
    archive = {
        "name": record.artifact.uri.rpartition("/")[2],
        "uri": record.artifact.uri,
        "digest": {"sha256": record.artifact.sha256},
    }
    stored = {
        "name": "record.json",
        "uri": evidence.record_uri,
        "digest": {"sha256": canonical.sha256(evidence.record_bytes)},
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [archive, stored],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": _definition(evidence), "runDetails": _run(evidence)},
    }


def _definition(evidence: RecordEvidence) -> dict[str, Any]:
    record = evidence.record
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": public.chosen(
            record.execution.parameters, public.PIPELINE_PARAMETERS
        ),
        "internalParameters": {
            "definition_sha256": record.execution.definition_sha256,
            "instance_type": record.train.instance_type,
            "instance_count": record.train.instance_count,
            "emr_release": record.prepare.release_label,
        },
        "resolvedDependencies": [*_inputs(evidence), *_images(evidence), *_commits(evidence)],
    }


def _inputs(evidence: RecordEvidence) -> list[dict[str, Any]]:
    record, base = evidence.record, evidence.record.base_model
    return [
        {
            "name": "raw table",
            "uri": record.raw.location,
            "annotations": {"table": record.raw.table, "version": record.raw.version},
        },
        {
            "name": "curated table: Prepare's manifest",
            "uri": record.curated.location,
            "digest": {"sha256": record.prepare.manifest_sha256},
            "annotations": {"table": record.curated.table, "version": record.curated.version},
        },
        {
            "name": f"base model {base.name} at {base.revision}: mirror.json",
            "digest": {"sha256": base.mirror_sha256},
        },
    ]


def _images(evidence: RecordEvidence) -> list[dict[str, Any]]:
    record = evidence.record
    images = {
        "image of Prepare": record.prepare.image,
        "image of Train": record.train.image,
        "image of Register": record.register_.image if record.register_ else None,
    }
    found = []
    for name, reference in images.items():
        digest = public.image(reference)[1] if reference else None
        if digest is not None:
            found.append({"name": name, "uri": reference, "digest": {"sha256": digest}})
    return found


def _commits(evidence: RecordEvidence) -> list[dict[str, Any]]:
    record = evidence.record
    builds: dict[str, Build | None] = {
        "code of Prepare": record.prepare.build,
        "code of Train": record.train.build,
        "code of Register": record.register_.build if record.register_ else None,
    }
    return [
        {
            "name": name,
            "digest": {"gitCommit": build.git_commit},
            "annotations": {"clean": build.clean, "lock_sha256": build.lock_sha256},
        }
        for name, build in builds.items()
        if build is not None and build.git_commit is not None
    ]


def _run(evidence: RecordEvidence) -> dict[str, Any]:
    record = evidence.record
    return {
        "builder": {"id": record.execution.pipeline_arn},
        "metadata": {
            "invocationId": record.execution.arn,
            "startedOn": record.execution.started_at,
            "finishedOn": record.registered_at,
        },
        "byproducts": [
            {"name": "Prepare's manifest", "digest": {"sha256": record.prepare.manifest_sha256}},
            {"name": "Train's manifest", "digest": {"sha256": record.train.manifest_sha256}},
        ],
    }
