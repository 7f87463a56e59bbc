"""The section `prepare`."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections.strictness import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
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
