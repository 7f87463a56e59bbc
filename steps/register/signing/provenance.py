"""A record as an in-toto Statement v1 with SLSA provenance v1: what is signed.

    payload = statement(record)      # canonical JSON; its subjects are the archive and the record

Equal records give equal bytes. Sources: https://in-toto.io/Statement/v1,
https://slsa.dev/spec/v1.0/provenance. Every value repeats a field of the record.
"""

import re
from typing import Any

from steps.governance import canonical
from steps.governance.manifest import TableVersion
from steps.governance.reading import Build
from steps.governance.record import Record

BUILD_TYPE = "urn:governed-finetune:execution:1"
_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$")

_Descriptor = dict[str, Any]


def statement(record: Record) -> bytes:
    """Return the canonical bytes of the statement about a record and its model archive."""
    archive, uri = record.artifact, record.artifact.uri
    return canonical.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {
                    "name": uri.rsplit("/", 1)[-1],
                    "uri": f"{uri}?versionId={archive.version_id}",
                    "digest": {"sha256": archive.sha256},
                },
                {"name": "record.json", "digest": {"sha256": record.sha256}},
            ],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": _definition(record), "runDetails": _run(record)},
        }
    )


def _definition(record: Record) -> dict[str, Any]:
    execution = record.execution
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": execution.parameters,
        "internalParameters": {
            "definition_sha256": execution.definition_sha256,
            "emr_release": record.prepare.release_label,
            "hyperparameters": record.train.hyperparameters,
            "instance_count": record.train.instance_count,
            "instance_type": record.train.instance_type,
        },
        "resolvedDependencies": [*_data(record), *_code(record)],
    }


def _data(record: Record) -> list[_Descriptor]:
    """The tables at their versions, and the base model."""
    tables: tuple[tuple[str, TableVersion, dict[str, str]], ...] = (
        ("raw table", record.raw, {}),
        ("curated table", record.curated, {"manifest_sha256": record.prepare.manifest_sha256}),
    )
    base = record.base_model
    return [
        *(
            {
                "name": name,
                "uri": table.location,
                "annotations": {
                    "table": table.table,
                    "table_id": table.table_id,
                    "version": table.version,
                }
                | more,
            }
            for name, table, more in tables
        ),
        {
            "name": "base model: mirror.json",
            "digest": {"sha256": base.mirror_sha256},
            "annotations": {"model": base.name, "revision": base.revision},
        },
    ]


def _code(record: Record) -> list[_Descriptor]:
    """The image of each step, by digest if it has one, with its commit and lock if recorded."""
    worker = record.register_
    steps = (
        ("prepare", record.prepare.image, record.prepare.build),
        ("train", record.train.image, record.train.build),
        ("register", worker.image if worker else None, worker.build if worker else None),
    )
    return [_image(name, image, build) for name, image, build in steps if image is not None]


def _image(step: str, image: str, build: Build | None) -> _Descriptor:
    digest = {"sha256": found[1]} if (found := _DIGEST.search(image)) else {}
    code = build.model_dump(exclude_none=True) if build else {}
    described: _Descriptor = {"name": f"image of {step}", "uri": image}
    return described | {
        name: value for name, value in (("digest", digest), ("annotations", code)) if value
    }


def _run(record: Record) -> dict[str, Any]:
    return {
        "builder": {"id": record.execution.pipeline_arn},
        "metadata": {
            "invocationId": record.execution.arn,
            "startedOn": record.execution.started_at,
            "finishedOn": record.registered_at,
        },
        "byproducts": [
            {
                "name": "prepare/manifest.json",
                "digest": {"sha256": record.prepare.manifest_sha256},
            },
            {
                "name": f"train/{record.train.job_arn.rsplit('/', 1)[-1]}/manifest.json",
                "digest": {"sha256": record.train.manifest_sha256},
            },
            {"name": "record.json", "digest": {"sha256": record.sha256}},
        ],
    }
