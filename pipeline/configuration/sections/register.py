"""The section `register`."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections.strictness import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Register:
    """The callback's queue and the worker behind it."""

    role_arn: fields.RoleArn  # of the worker
    image: fields.Image
    compute: Literal["lambda", "ecs", "elsewhere"] = Field(
        "lambda", description="lambda, ecs or elsewhere"
    )  # WorkerKind of the stacks
    queue_url: fields.QueueUrl
    databricks_secret_id: fields.SecretId
    databricks_client_id: fields.ClientId | None = Field(
        description="the application id (a UUID) of the register principal, or null"
    )
    # Of SageMaker's own registry: what is approved gets a package there (decision 080).
    model_package_group: fields.ModelPackageGroup | None = Field(
        None, description="lower-case letters, digits and hyphens (63 at most), or null"
    )
    serving_image: fields.Image | None = Field(
        None, description="the image by digest that serves a package of the group, or null"
    )
