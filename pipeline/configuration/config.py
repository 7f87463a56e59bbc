"""The configuration of one environment: conf/<env>.yaml, checked and frozen.

    config = load("dev")
    config.train.max_runtime_seconds

No file inherits from another. Values that follow from the environment, the account and the region
may be left out (`pipeline.configuration.derived`). `${NAME}` is read from the environment of the
process, here and nowhere else. One `ConfigError` reports every fault of a file; unknown keys are
refused, with the nearest known key.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.configuration import consistency, derived, fields, file, limits
from pipeline.configuration.file import CONF
from pipeline.configuration.messages import Fault, described, substituted
from pipeline.configuration.openlineage import OpenLineage
from pipeline.configuration.parameters import Value
from pipeline.errors import ConfigError

_STRICT = ConfigDict(extra="forbid", strict=True)
_Days = Annotated[int, Field(ge=1, le=36_500, description="whole days, 1 … 36500")]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Aws:
    """The account and region of every resource of this environment."""

    account_id: fields.AccountId
    region: fields.Region


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PipelineSection:
    """The pipeline itself."""

    name: fields.PipelineName
    role_arn: fields.RoleArn
    tags: fields.Tags


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Databricks:
    """The workspace whose Unity Catalog governs the data."""

    host: fields.Host


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Storage:
    """The three buckets (docs/architecture.md, "Buckets")."""

    governed_bucket: fields.Bucket  # only Unity Catalog's storage role gets in
    evidence_bucket: fields.Bucket  # versioned, create-only: manifests and records
    artifact_bucket: fields.Bucket  # model archives, checkpoints, mirrored base models


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Prepare:
    """The Spark job on EMR Serverless."""

    role_arn: fields.RoleArn  # has no right on the governed bucket
    application_id: fields.ApplicationId
    image: fields.Image
    entry_point: fields.EntryPoint
    delta_engine: Literal["delta-rs", "unity-connector"] = Field(
        description="delta-rs or unity-connector"
    )
    eval_fraction: float = Field(ge=0.001, le=0.5, description="a fraction, 0.001 … 0.5")
    curated_root: fields.S3Uri
    databricks_secret_id: fields.SecretId
    timeout_minutes: int = Field(ge=5, le=2880, description="whole minutes, 5 … 2880")
    spark: fields.SparkConf


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Train:
    """The SageMaker training job."""

    role_arn: fields.RoleArn  # has no right on the governed bucket
    image: fields.Image
    base_model: fields.BaseModelName
    base_model_revision: fields.Revision
    databricks_secret_id: fields.SecretId
    instance_count: int = Field(ge=1, le=64, description="a whole number, 1 … 64")
    volume_gib: int = Field(ge=1, le=16384, description="whole GiB, 1 … 16384")
    max_runtime_seconds: int = Field(
        ge=60, le=432_000, description="whole seconds, 60 … 432000 (5 days)"
    )
    use_spot: bool = Field(description="true or false")
    max_wait_seconds: int | None = Field(
        ge=60, le=2_592_000, description="whole seconds up to 2592000 (30 days), or null"
    )
    sharding: Literal["auto", "ddp", "fsdp"] = Field(description="auto, ddp or fsdp")
    # Where live metrics are sent; the train principal may write there. null = nowhere.
    mlflow_experiment: fields.Experiment | None = Field(
        description="/folder/name of an experiment, or null"
    )
    kms_key_arn: fields.KmsKeyArn | None = Field(description="the ARN of a KMS key, or null")
    subnet_ids: fields.SubnetIds
    security_group_ids: fields.SecurityGroupIds


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Register:
    """The callback's queue and the worker behind it."""

    role_arn: fields.RoleArn  # of the worker
    image: fields.Image
    queue_url: fields.QueueUrl
    databricks_secret_id: fields.SecretId
    databricks_client_id: fields.ClientId | None = Field(
        description="the application id (a UUID) of the register principal, or null"
    )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Evidence:
    """Who signs evidence, who approves, and how long things are kept."""

    signing_key_arn: fields.SigningKeyArn  # of records and registrations: only `register` signs
    signing_public_key: fields.PublicKey  # pinned; what a verifier trusts
    approval_key_arn: fields.SigningKeyArn  # of approvals: only `approver` signs
    approval_public_key: fields.PublicKey
    approvers_group: fields.GroupName  # of the workspace; only a member approves
    # With the Databricks identities that `approve`, `audit`, `reconcile` and `trace` run as
    approver_secret_id: fields.SecretId
    auditor_secret_id: fields.SecretId
    reconciler_secret_id: fields.SecretId
    scientist_secret_id: fields.SecretId
    approval_tag: fields.TagName  # of a version; a deployment job waits for it
    retention_days: _Days  # for so long the files of a raw table's version are kept
    object_lock_days: _Days  # EvidenceLockDays of the stack


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Logging:
    """How the steps log (steps/governance/logs.py). DEBUG is for the steps' own lines only."""

    format: Literal["text", "json"] = Field("text", description="text or json")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR"
    )

    @property
    def variables(self) -> dict[str, str]:
        """The environment variable that each step reads."""
        return {"GOVERNED_FINETUNE_LOGGING": f"{self.format}:{self.level}"}


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Config:
    """The configuration of one environment."""

    environment: str
    aws: Aws
    pipeline: PipelineSection
    databricks: Databricks
    storage: Storage
    prepare: Prepare
    train: Train
    register: Register
    evidence: Evidence
    limits: limits.Limits  # what no parameter can pass
    logging: Logging
    openlineage: OpenLineage | None = Field(description="a section, or null")
    parameters: dict[str, Value] = Field(
        description="defaults of this environment, by parameter name"
    )


_CONFIG = TypeAdapter(Config)


def load(environment: str, *, environ: Mapping[str, str] = os.environ, conf: Path = CONF) -> Config:
    """Return the configuration of an environment.

    Raises:
        UsageError: the file does not exist.
        ConfigError: the file has faults; all of them are in the message.
    """
    return parse(file.text(environment, conf), environment, environ)


def default_parameters(environment: str, *, conf: Path = CONF) -> dict[str, Any]:
    """Return the parameter defaults in an environment's file, unchecked: `load` checks them.

    Raises:
        UsageError: the file does not exist.
        ConfigError: the file is not a mapping.
    """
    document = file.mapping(file.text(environment, conf), f"conf/{environment}.yaml")
    parameters = document.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain JSON values."""
    plain: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    return plain


def parse(text: str, environment: str, environ: Mapping[str, str]) -> Config:
    """Return the configuration that a file's text means in an environment.

    Raises:
        ConfigError: the text has faults.
    """
    name = f"conf/{environment}.yaml"
    written, unset = substituted(file.mapping(text, name), environ, environment)
    document, found = derived.complete(written, environment)
    config, faults = None, []
    try:
        # Through JSON: it is strict about scalars, but takes a mapping as a section and a list as
        # a tuple.
        content = json.dumps({**document, "environment": environment}, default=str)
        config = _CONFIG.validate_json(content, context={"environment": environment})
    except ValidationError as error:
        faults = described(error.errors(), _CONFIG.json_schema())
    unset_paths = {path for path, _ in unset}
    faults = [*unset, *(fault for fault in faults if fault[0] not in unset_paths)]
    faults = _without_consequences([*faults, *consistency.faults(document)], found)
    if config is None or faults:
        raise ConfigError(name, faults)
    return config


def _without_consequences(faults: list[Fault], found: Mapping[str, derived.Derived]) -> list[Fault]:
    """The faults without those of derived values whose source has a fault itself."""
    faulty = {path for path, _ in faults}
    faulty |= {
        source for path in found for source in found[path].sources if _section(source) in faulty
    }
    return [
        (path, text)
        for path, text in faults
        if path not in found or faulty.isdisjoint(found[path].sources)
    ]


def _section(path: str) -> str:
    return path.partition(".")[0]
