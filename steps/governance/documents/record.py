"""The record of one registered model: its data, code, jobs and artifacts, each with its source.

    record = Record(…); evidence.write_once(uri, record.to_bytes())

It is canonical JSON (RFC 8785), written once: after the model version exists and before its alias
is set, so an alias never points to a version without a record. Each field repeats a fact from a
service or an earlier manifest, so the record can be verified again from the stored objects and the
services alone. It contains no secret and no row of data. Fields that are marked "version 2" are
None in records of version 1, which stay readable.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steps.governance.documents import canonical
from steps.governance.documents.document import (
    Count,
    FileEntry,
    Manifest,
    Part,
    Sha256,
    require_fields,
)
from steps.governance.documents.manifest import (
    BaseModelFiles,
    TableVersion,
    TrainingData,
    TrainingMetrics,
)
from steps.governance.documents.precision import Precision
from steps.governance.documents.reading import Build, Reading

# Tag of a version that has a record and no alias: Register gave up before the alias was set, and
# answered its step with Failure. Approve refuses such a version, and the audit expects no alias.
WITHDRAWN_TAG = "withdrawn"


class Starter(Part):
    """Who started the execution, as SageMaker recorded it; a Studio user has a profile too."""

    arn: str | None = None  # of the IAM identity
    user_profile: str | None = None


class ExecutionFacts(Part):
    """The execution: the sha256 of its definition, its resolved parameters. Source: SageMaker."""

    arn: str
    pipeline_arn: str
    definition_sha256: Sha256
    started_at: str
    parameters: dict[str, str]
    started_by: Starter | None = None  # version 2
    pipeline_version_id: Count | None = None  # of the pipeline's definition, if SageMaker has one


class Billed(Part):
    """What a job is billed for: seconds, and of EMR also its resources.

    Sources: `BillableTimeInSeconds` of the training job; `totalExecutionDurationSeconds` and
    `billedResourceUtilization` of the job run.
    """

    seconds: Count
    vcpu_hours: float | None = None
    memory_gb_hours: float | None = None
    storage_gb_hours: float | None = None


class ReusedFacts(Part):
    """The execution whose examples were used again: its definition, manifest, job and job's code.

    Sources: SageMaker, evidence bucket, EMR Serverless.
    """

    execution_arn: str
    definition_sha256: Sha256
    manifest_sha256: Sha256
    job_run_arn: str
    entry_point: str
    release_label: str
    image: str
    pipeline_version_id: Count | None = None  # as in `ExecutionFacts`


class PrepareFacts(Part):
    """The Prepare job and its manifest's sha256. Sources: EMR Serverless, evidence bucket.

    `reused` is there where the job verified the examples of an earlier execution.
    """

    job_run_arn: str
    role_arn: str
    entry_point: str
    release_label: str
    manifest_sha256: Sha256
    image: str | None = None  # version 2, by digest; this and below
    spark_version: str | None = None
    build: Build | None = None
    billed: Billed | None = None
    reused: ReusedFacts | None = None  # version 2, optional


class TrainFacts(Part):
    """The Train job and its manifest's sha256. Sources: SageMaker, evidence bucket."""

    job_arn: str
    role_arn: str
    image: str
    instance_type: str
    instance_count: Count
    started_at: str
    ended_at: str
    hyperparameters: dict[str, str]
    manifest_sha256: Sha256
    build: Build | None = None  # version 2
    billed: Billed | None = None  # version 2


class RegisterFacts(Part):
    """The worker that registered the model: its image by digest, and its code."""

    image: str
    build: Build


class LedgerHead(Part):
    """The last entry of the ledger when the record was composed; number 0 and zeros: none yet."""

    number: Count
    sha256: Sha256


class ArtifactFacts(Part):
    """The model archive: one version of one S3 object, with its sha256 and its files'.

    Source: S3.
    """

    uri: str
    version_id: str
    size: Count
    sha256: Sha256
    files: list[FileEntry]


class ModelFacts(Part):
    """The model version in Unity Catalog and the requested alias. Source: the registry.

    `files` has the sha256 of each file that mlflow wrote around the adapter, by its path in the
    version. It is absent in records of earlier releases, of version 2 too.
    """

    name: str
    version: Annotated[int, Field(ge=1)]
    source: str
    alias: str
    files: dict[str, Sha256] | None = None  # version 2, optional


class LineageFacts(Part):
    """External metadata objects and edges, as `kind:name` (see `lineage.label`).

    Source: Unity Catalog.
    """

    nodes: list[str]
    edges: list[tuple[str, str]]


class Principals(Part):
    """The registering identities: Databricks application id, AWS session. Source: both services."""

    databricks: str
    aws: str


class Record(Manifest):
    """The record of one model version, written once to `<execution>/register/record.json`."""

    schema_: Literal["governed-finetune/registered/1", "governed-finetune/registered/2"] = Field(
        default="governed-finetune/registered/2", alias="schema"
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
    register_: RegisterFacts | None = Field(default=None, alias="register")  # version 2 from here
    readings: list[Reading] | None = None  # of the raw table by Prepare, of the curated by Train
    membership: FileEntry | None = None  # which filings: see `manifest.Prepared`
    ledger: LedgerHead | None = None  # the entry of this record has a higher number

    @model_validator(mode="after")
    def _of_its_version(self) -> Self:
        present = not self.schema_.endswith("/1")
        require_fields(self, ("register_", "readings", "membership", "ledger"), present=present)
        require_fields(self.execution, ("started_by",), present=present)
        inside = ("image", "spark_version", "build", "billed")
        require_fields(self.prepare, inside, present=present)
        require_fields(self.train, ("build", "billed"), present=present)
        if not present:
            require_fields(self.model, ("files",), present=False)
        return self


def effect_key(execution_arn: str, step: str, artifact_sha256: str) -> str:
    """Return the key of one effect: 64 hex digits, the same for every delivery of the message.

    It is the sha256 of execution, step and content. It includes neither the callback token (a retry
    may bring a new one) nor the message id (a duplicate has another one).
    """
    return canonical.sha256("|".join((execution_arn, step, artifact_sha256)).encode())
