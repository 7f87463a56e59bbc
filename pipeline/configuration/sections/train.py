"""The section `train`."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections.strictness import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
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
    # plain: no Triton kernel is started, also not to check it
    kernels: Literal["auto", "plain"] = Field(default="auto", description="auto or plain")
    # Where live metrics are sent; the train principal may write there. null = nowhere.
    mlflow_experiment: fields.Experiment | None = Field(
        description="/folder/name of an experiment, or null"
    )
    subnet_ids: fields.SubnetIds
    security_group_ids: fields.SecurityGroupIds
