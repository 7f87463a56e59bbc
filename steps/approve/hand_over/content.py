"""What a package of a model version holds: CreateModelPackage's request, from the record.

    content.request(recorded, image="…@sha256:…", evidence_uri="s3://…/executions")

A package waits for approval when it is made; `handing_over` approves it, since only an update takes
the reason. A package of a group takes no tags: it has the group's.
"""

import json
from typing import Any

from steps.approve.hand_over import card
from steps.approve.recorded import Recorded
from steps.governance.documents import model_package
from steps.governance.documents.record import Record
from steps.governance.files import split_s3_uri
from steps.governance.names import execution_id

BASE_MODEL = "base-model"  # the channel: /opt/ml/additional-model-data-sources/base-model


def request(recorded: Recorded, *, image: str, evidence_uri: str) -> dict[str, Any]:
    """Return the request without the group's name."""
    record = recorded.record
    generated = {
        "ProjectId": record.execution.pipeline_arn.rsplit("/", 1)[-1],
        "GeneratedBy": record.execution.arn,
    }
    if record.train.build is not None and record.train.build.git_commit:
        generated["CommitId"] = record.train.build.git_commit
    return {
        "ModelPackageDescription": model_package.subject(
            record.model.name,
            version=record.model.version,
            record_sha256=recorded.sha256,
            image=image,
        ),
        "ModelApprovalStatus": model_package.PENDING,
        "CustomerMetadataProperties": model_package.metadata(record, recorded.sha256),
        "MetadataProperties": generated,
        "InferenceSpecification": {"Containers": [_container(record, image)]},
        "ModelMetrics": {"ModelQuality": {"Statistics": _statistics(record, evidence_uri)}},
        "ModelCard": {
            "ModelCardContent": json.dumps(card.content(record), allow_nan=False),
            "ModelCardStatus": "Draft",  # its review is the deploying team's
        },
    }


def _container(record: Record, image: str) -> dict[str, Any]:
    bucket, _ = split_s3_uri(record.artifact.uri)
    base = record.base_model
    return {
        "Image": image,
        "ModelDataUrl": record.artifact.uri,
        "AdditionalModelDataSources": [
            {
                "ChannelName": BASE_MODEL,
                "S3DataSource": {
                    "S3Uri": f"s3://{bucket}/base-models/{base.name}/{base.revision}/",
                    "S3DataType": "S3Prefix",
                    "CompressionType": "None",
                },
            }
        ],
        # ModelDataUrl names no version of the object, so the server compares the digest
        "Environment": {"GOVERNED_FINETUNE_ARCHIVE_SHA256": record.artifact.sha256},
    }


def _statistics(record: Record, evidence_uri: str) -> dict[str, str]:
    """Train's manifest, whose `metrics` are the record's."""
    job = record.train.job_arn.rsplit("/", 1)[-1]
    folder = f"{evidence_uri}/{execution_id(record.execution.arn)}"
    return {
        "ContentType": "application/json",
        "ContentDigest": f"sha256:{record.train.manifest_sha256}",
        "S3Uri": f"{folder}/train/{job}/manifest.json",
    }
