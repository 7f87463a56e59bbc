"""What one value of a configuration file may be. A description completes "expected …" in a fault's message."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

LOCAL = "local"  # the one environment that may speak http to the loopback and name images without a digest

_LOOPBACK = r"http://(127\.0\.0\.1|localhost):\d{1,5}"
# Databricks workspaces on AWS; a host outside this list would be handed the service principals' secrets.
_WORKSPACE = r"https://[a-z0-9][a-z0-9-]*\.cloud\.databricks\.(com|us)"
_QUEUE = r"https://sqs\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/\d{12}/[A-Za-z0-9_-]{1,80}"
_DIGEST = r"[a-z0-9][a-z0-9./_:-]*@sha256:[0-9a-f]{64}"
_ARN = r"arn:aws[a-z-]*"
_SECRET_WORD = re.compile(r"secret|password|token|credential", re.IGNORECASE)


def _host(value: str, info: ValidationInfo) -> str:
    if re.fullmatch(_WORKSPACE, value) or (_is_local(info) and re.fullmatch(_LOOPBACK, value)):
        return value
    wanted = "https://<workspace>.cloud.databricks.com without path or port"
    message = f"expected {wanted}{', or http on the loopback' if _is_local(info) else ''}, got {value!r}"
    raise ValueError(message)


def _queue_url(value: str, info: ValidationInfo) -> str:
    loopback = rf"{_LOOPBACK}/\d{{12}}/[A-Za-z0-9_-]{{1,80}}"
    if re.fullmatch(_QUEUE, value) or (_is_local(info) and re.fullmatch(loopback, value)):
        return value
    message = f"expected the URL of an SQS queue (https://sqs.<region>.amazonaws.com/<account>/<name>), got {value!r}"
    raise ValueError(message)


def _image(value: str, info: ValidationInfo) -> str:
    if _is_local(info) or re.fullmatch(_DIGEST, value):
        return value
    given = "a tag" if ":" in value.rsplit("/", 1)[-1] and "@" not in value else "no full digest"
    message = f"has {given} ({value!r}); give a digest ('@sha256:<64 hex>'), so that the record names what ran"
    raise ValueError(message)


def _spark_conf(value: dict[str, str]) -> dict[str, str]:
    for key, setting in value.items():
        if not re.fullmatch(r"spark\.[A-Za-z0-9_.-]+", key) or not re.fullmatch(r"\S+", setting):
            message = f"expected 'spark.…' keys and values without spaces, got {key!r}: {setting!r}"
            raise ValueError(message)
        if _SECRET_WORD.search(key):
            message = f"{key!r} would be readable in the definition; the job reads its secret from Secrets Manager"
            raise ValueError(message)
    return value


def _experiment(value: str) -> str:
    # As steps/train/arguments.py has it: absolute, at least one folder, no part made of dots.
    if re.fullmatch(r"(/(?!\.+(/|$))[A-Za-z0-9_.@ -]{1,100}){2,8}", value):
        return value
    message = f"expected the workspace path of an experiment (/Shared/…), or null, got {value!r}"
    raise ValueError(message)


def _is_local(info: ValidationInfo) -> bool:
    return info.context is not None and info.context["environment"] == LOCAL


def _text(pattern: str, description: str) -> object:
    return Field(pattern=f"^({pattern})$", description=description)


AccountId = Annotated[str, _text(r"\d{12}", "12 digits in quotes")]
Region = Annotated[str, _text(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as 'us-east-1'")]
PipelineName = Annotated[str, _text(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", "letters, digits and hyphens, 256 at most")]
RoleArn = Annotated[str, _text(rf"{_ARN}:iam::\d{{12}}:role/[A-Za-z0-9+=,.@_/-]+", "the ARN of an IAM role")]
KmsKeyArn = Annotated[str, _text(rf"{_ARN}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+", "the ARN of a KMS key")]
Bucket = Annotated[str, _text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an S3 bucket")]
S3Uri = Annotated[str, _text(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.=-]+)+", "s3://bucket/prefix without a final /")]
SecretId = Annotated[str, _text(r"[A-Za-z0-9/_+=.@:-]+", "the name or ARN of a secret, never its value")]
ClientId = Annotated[
    str, _text(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the application id (a UUID) of a service principal")
]
ApplicationId = Annotated[str, _text(r"[0-9a-z]{1,64}", "the id of an EMR Serverless application")]
EntryPoint = Annotated[str, _text(r"(local:///|s3://)[A-Za-z0-9_./-]+\.py", "local:///path.py in the image, or s3://")]
BaseModelName = Annotated[
    str, _text(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?", "a model's name or owner/name")
]
Revision = Annotated[str, _text(r"[0-9a-f]{40}", "the 40 hex digits of a commit, never a branch or tag")]
SubnetIds = Annotated[
    tuple[Annotated[str, _text(r"subnet-[0-9a-f]{8,17}", "a subnet's id")], ...],
    Field(description="a list of subnet ids"),
]
SecurityGroupIds = Annotated[
    tuple[Annotated[str, _text(r"sg-[0-9a-f]{8,17}", "a security group's id")], ...],
    Field(description="a list of security group ids"),
]
Tags = Annotated[
    dict[
        Annotated[str, _text(r"[A-Za-z0-9 _.:/=+@-]{1,128}", "a tag's key")],
        Annotated[str, _text(r"[A-Za-z0-9 _.:/=+@-]{0,256}", "text of letters, digits, spaces and _.:/=+@-")],
    ],
    Field(description="tags, text to text"),
]
SparkConf = Annotated[
    dict[str, str], AfterValidator(_spark_conf), Field(description="Spark settings, text to text (numbers in quotes)")
]
Host = Annotated[str, AfterValidator(_host), Field(description="the URL of a Databricks workspace")]
QueueUrl = Annotated[str, AfterValidator(_queue_url), Field(description="the URL of an SQS queue")]
Experiment = Annotated[
    str, AfterValidator(_experiment), Field(description="/folder/name of an experiment in the workspace, or null")
]
Image = Annotated[str, AfterValidator(_image), Field(description="an image by digest")]
