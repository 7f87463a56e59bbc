"""One environment's configuration: conf/<env>.yaml, whole, checked, frozen.

    config = load("dev")
    config.train.max_runtime_seconds

No file inherits from another. `${NAME}` is read from the environment of the process, here and nowhere else. Every fault
of a file is reported in one `ConfigError`; unknown keys are refused, with the nearest known one.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.configuration import consistency, fields
from pipeline.configuration.messages import described, substituted
from pipeline.errors import ConfigError, UsageError, did_you_mean
from pipeline.parameters import Value

CONF = Path(__file__).resolve().parent.parent / "conf"


_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Aws:
    """The account and region everything of this environment is in."""

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

    governed_bucket: fields.Bucket
    evidence_bucket: fields.Bucket
    artifact_bucket: fields.Bucket


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Prepare:
    """The Spark job on EMR Serverless."""

    role_arn: fields.RoleArn
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

    role_arn: fields.RoleArn
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
    mlflow_experiment: fields.Experiment | None = Field(
        description="/folder/name of an experiment, or null"
    )
    kms_key_arn: fields.KmsKeyArn | None = Field(description="the ARN of a KMS key, or null")
    subnet_ids: fields.SubnetIds
    security_group_ids: fields.SecurityGroupIds


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Register:
    """The callback's queue and the worker behind it."""

    role_arn: fields.RoleArn
    image: fields.Image
    queue_url: fields.QueueUrl
    databricks_secret_id: fields.SecretId
    databricks_client_id: fields.ClientId | None = Field(
        description="the application id (a UUID) of the register principal, or null"
    )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Config:
    """One environment, whole."""

    environment: str
    aws: Aws
    pipeline: PipelineSection
    databricks: Databricks
    storage: Storage
    prepare: Prepare
    train: Train
    register: Register
    parameters: dict[str, Value] = Field(
        description="defaults of this environment, by parameter name"
    )


_CONFIG = TypeAdapter(Config)


def load(environment: str, *, environ: Mapping[str, str] = os.environ, conf: Path = CONF) -> Config:
    """The configuration of `environment`.

    Raises:
        UsageError: there is no such file.
        ConfigError: the file has faults; all of them are in the message.
    """
    return parse(_text(environment, conf), environment, environ)


def default_parameters(environment: str, *, conf: Path = CONF) -> dict[str, Any]:
    """The environment's own defaults as its file has them, before its variables are set. `load` checks them.

    Raises:
        UsageError: there is no such file.
        ConfigError: the file is no mapping.
    """
    parameters = _mapping(_text(environment, conf), f"conf/{environment}.yaml").get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _text(environment: str, conf: Path) -> str:
    known = sorted(path.stem for path in conf.glob("*.yaml"))
    if environment not in known:
        message = (
            f"no environment {environment!r} in {conf.name}/{did_you_mean(environment, known)}"
        )
        raise UsageError(message)
    path = conf / f"{environment}.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"conf/{path.name}", [("(file)", f"expected readable UTF-8 text, got: {error}")]
        ) from error


def tree(config: Config) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    plain: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    return plain


def parse(text: str, environment: str, environ: Mapping[str, str]) -> Config:
    """The configuration that a file's text means in an environment.

    Raises:
        ConfigError: the text has faults.
    """
    file = f"conf/{environment}.yaml"
    raw = _mapping(text, file)
    raw, unset = substituted(raw, environ, environment)
    context = {"environment": environment}
    config, faults = None, []
    try:
        # Through JSON: strict about scalars, while a mapping becomes a section and a list a tuple.
        document = json.dumps({**raw, "environment": environment}, default=str)
        config = _CONFIG.validate_json(document, context=context)
    except ValidationError as error:
        faults = described(error.errors(), _CONFIG.json_schema())
    unset_paths = {path for path, _ in unset}
    faults = [
        *unset,
        *(fault for fault in faults if fault[0] not in unset_paths),
        *consistency.faults(raw),
    ]
    if config is None or faults:
        raise ConfigError(file, faults)
    return config


def _mapping(text: str, file: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  it is a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(
            file, [("(file)", f"is not YAML: {' '.join(str(error).split())}")]
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(
            file, [("(file)", f"expected a mapping of sections, got {type(raw).__name__}")]
        )
    return raw


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys and says nothing; here the second one is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is there twice", problem_mark=key.start_mark
                )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping
