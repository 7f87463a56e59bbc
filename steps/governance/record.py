"""The record of one registered model: who trained what, from which bytes, with which code, and where each claim can
be checked.

    record = Record(…); evidence.write_once(uri, record.to_bytes())

It is canonical JSON (RFC 8785), written once, after the model version stands and before its alias is set: an alias
never points at a version without a record. Each field repeats what a service or an earlier manifest says, so that the
record can be re-verified from the stored objects and the services alone. It holds no secret, no row of data.
"""

from typing import Annotated, Literal

from pydantic import Field

from steps.governance import canonical
from steps.governance.manifest import (
    BaseModelFiles,
    Count,
    FileEntry,
    Manifest,
    Part,
    Precision,
    Sha256,
    TableVersion,
    TrainingData,
    TrainingMetrics,
)


class ExecutionFacts(Part):
    """The pipeline execution: its definition by sha256, its parameters as they were resolved. Source: SageMaker."""

    arn: str
    pipeline_arn: str
    definition_sha256: Sha256
    started_at: str
    parameters: dict[str, str]


class PrepareFacts(Part):
    """The job that prepared the data, and its manifest by sha256. Source: EMR Serverless, evidence bucket."""

    job_run_arn: str
    role_arn: str
    entry_point: str
    release_label: str
    manifest_sha256: Sha256


class TrainFacts(Part):
    """The job that trained the model, and its manifest by sha256. Source: SageMaker, evidence bucket."""

    job_arn: str
    role_arn: str
    image: str
    instance_type: str
    instance_count: Count
    started_at: str
    ended_at: str
    hyperparameters: dict[str, str]
    manifest_sha256: Sha256


class ArtifactFacts(Part):
    """The model archive: one version of one S3 object, hashed as a whole and file by file. Source: S3."""

    uri: str
    version_id: str
    size: Count
    sha256: Sha256
    files: list[FileEntry]


class ModelFacts(Part):
    """The model version in Unity Catalog and the alias that was asked for. Source: the registry."""

    name: str
    version: Annotated[int, Field(ge=1)]
    source: str
    alias: str


class LineageFacts(Part):
    """External metadata objects and edges, as `kind:name` (see `lineage.label`). Source: Unity Catalog."""

    nodes: list[str]
    edges: list[tuple[str, str]]


class Principals(Part):
    """Who registered: the Databricks application id and the AWS session. Source: the services that know them."""

    databricks: str
    aws: str


class Record(Manifest):
    """Everything about one registered model version, written once to `<execution>/register/record.json`."""

    schema_: Literal["governed-finetune/registered/1"] = Field(
        default="governed-finetune/registered/1", alias="schema"
    )
    key: Sha256
    registered_at: str
    principals: Principals
    execution: ExecutionFacts
    prepare: PrepareFacts
    raw: TableVersion
    curated: TableVersion
    train: TrainFacts
    data: TrainingData
    base_model: BaseModelFiles
    fp8: Precision
    metrics: TrainingMetrics
    artifact: ArtifactFacts
    model: ModelFacts
    lineage: LineageFacts


def effect_key(execution_arn: str, step: str, artifact_sha256: str) -> str:
    """The identity of one effect, equal for every delivery of it: 64 hex digits of execution, step and content.

    Not the callback token (a retry may bring a new one) and not the message id (a duplicate has another one).
    """
    return canonical.sha256("|".join((execution_arn, step, artifact_sha256)).encode())
