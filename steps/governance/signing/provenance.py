"""A record as an in-toto Statement v1 with SLSA provenance v1: what Register signs.

    payload = statement(record)      # canonical JSON; its subjects are the archive and the record

Equal records give equal bytes, and every value repeats a field of the record. The statement leaves
the evidence bucket with the model, so it contains names, versions, digests and the listed
parameters only: hyperparameters, grants and principals are in the record, which a subject binds.
Sources: https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance.
"""

from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.reading import Build
from steps.governance.documents.record import Record

BUILD_TYPE = "urn:governed-finetune:execution:1"
# The pipeline's parameters (pipeline/configuration/parameters.py; a test compares both).
PARAMETERS = frozenset(
    {
        *("RawTable", "RawTableVersion", "CuratedTable", "CuratedFrom", "ModelName", "ModelAlias"),
        *("Epochs", "MaxSteps", "LearningRate", "LoraRank", "SequenceLength", "Seed", "EvalSteps"),
        *("EarlyStoppingPatience", "MaxEvalExamples", "MaxEvalLoss", "TrainInstanceType"),
        *("Fp8Mode", "Optimizer", "Determinism", "MergedExport", "Compile"),
    }
)

_Descriptor = dict[str, Any]


def statement(record: Record) -> bytes:
    """Return the canonical bytes of the statement about a record and its model archive."""
    archive = record.artifact
    return canonical.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {
                    "name": archive.uri.rpartition("/")[2],
                    "uri": archive.uri,
                    "digest": {"sha256": archive.sha256},
                },
                {"name": "record.json", "digest": {"sha256": record.sha256}},
            ],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": _definition(record), "runDetails": _run(record)},
        }
    )


def _definition(record: Record) -> dict[str, Any]:
    given = record.execution.parameters
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {name: given[name] for name in PARAMETERS & given.keys()},
        "internalParameters": {
            "definition_sha256": record.execution.definition_sha256,
            "instance_type": record.train.instance_type,
            "instance_count": record.train.instance_count,
            "emr_release": record.prepare.release_label,
        },
        "resolvedDependencies": [*_inputs(record), *_images(record), *_commits(record)],
    }


def _inputs(record: Record) -> list[_Descriptor]:
    base = record.base_model
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


def _images(record: Record) -> list[_Descriptor]:
    """The image of each step that is recorded by digest."""
    images = {
        "image of Prepare": record.prepare.image,
        "image of Train": record.train.image,
        "image of Register": record.register_.image if record.register_ else None,
    }
    return [
        {"name": name, "uri": image, "digest": {"sha256": image.partition("@sha256:")[2]}}
        for name, image in images.items()
        if image is not None and "@sha256:" in image
    ]


def _commits(record: Record) -> list[_Descriptor]:
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


def _run(record: Record) -> dict[str, Any]:
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
