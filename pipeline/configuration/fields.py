"""The types of the values in a configuration file.

A description completes "expected …" in the message of a fault.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from pipeline.configuration import hosts

# The one environment that may use http on the loopback and name images without a digest.
LOCAL = "local"

_QUEUE = r"https://sqs\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[0-9]{12}/[A-Za-z0-9_-]{1,80}"
_DIGEST = r"[a-z0-9][a-z0-9./_:-]*@sha256:[0-9a-f]{64}"
# S3's rule: labels of letters, digits and inner hyphens, with single dots between them.
_BUCKET = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
# Tags that an upsert adds to the configured ones (pipeline/deployment/provenance.py), and `image`,
# which Prepare's job has (pipeline/graph/prepare.py).
_OUR_TAGS = ("config-sha256", "definition-sha256", "git-commit", "image", "configured-tags")
# AWS takes 50 tags. One tag's value lists all of ours (pipeline/deployment/provenance.py).
_MOST_TAGS = 36
_ARN = r"arn:aws[a-z-]*"
_SECRET_WORD = re.compile(r"secret|password|token|credential", re.IGNORECASE)


def _host(value: str, info: ValidationInfo) -> str:
    if found := hosts.origin(value, loopback=is_local(info)):
        return found
    zones = " ".join((*hosts.AWS_ZONES, *hosts.NUMBERED_ZONES))
    also = ", or http on the loopback" if is_local(info) else ""
    got = hosts.without_credentials(value)
    message = f"expected https://<workspace> of {zones}, without path or port{also}, got {got!r}"
    raise ValueError(message)


def _queue_url(value: str, info: ValidationInfo) -> str:
    loopback = rf"{hosts.LOOPBACK}/[0-9]{{12}}/[A-Za-z0-9_-]{{1,80}}"
    if re.fullmatch(_QUEUE, value) or (is_local(info) and re.fullmatch(loopback, value)):
        return value
    form = "https://sqs.<region>.amazonaws.com/<account>/<name>"
    message = f"expected the URL of an SQS queue ({form}), got {value!r}"
    raise ValueError(message)


def _image(value: str, info: ValidationInfo) -> str:
    if is_local(info) or re.fullmatch(_DIGEST, value):
        return value
    digest = "@" in value or value.startswith("sha256:") or ":" not in value.rsplit("/", 1)[-1]
    given = "no full digest" if digest else "a tag"
    message = (
        f"has {given} ({value!r}); "
        "give a digest ('@sha256:<64 hex>'), so that the record names what ran"
    )
    raise ValueError(message)


def _spark_conf(value: dict[str, str]) -> dict[str, str]:
    for key, setting in value.items():
        if not re.fullmatch(r"spark\.[A-Za-z0-9_.-]+", key) or not re.fullmatch(r"\S+", setting):
            message = f"expected 'spark.…' keys and values without spaces, got {key!r}: {setting!r}"
            raise ValueError(message)
        if _SECRET_WORD.search(key):
            message = (
                f"{key!r} would be readable in the definition; "
                "the job reads its secret from Secrets Manager"
            )
            raise ValueError(message)
    return value


def _experiment(value: str) -> str:
    # The rule of steps/train/arguments.py: absolute, at least one folder, no part made of dots.
    if re.fullmatch(r"(/(?!\.+(/|$))[A-Za-z0-9_.@ -]{1,100}){2,8}", value):
        return value
    message = f"expected the workspace path of an experiment (/Shared/…), or null, got {value!r}"
    raise ValueError(message)


def is_local(info: ValidationInfo) -> bool:
    """Return whether the local environment's configuration is read."""
    return info.context is not None and info.context["environment"] == LOCAL


def _tags(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if key.lower().startswith("aws:") or key in _OUR_TAGS:
            ours = " ".join(_OUR_TAGS)
            message = f"expected no key of AWS's own (aws:…) and none of {ours}, got {key!r}"
            raise ValueError(message)
    if len(value) > _MOST_TAGS:
        message = f"expected at most {_MOST_TAGS} tags, got {len(value)}"
        raise ValueError(message)
    return value


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def _text(pattern: str, description: str, at_most: int | None = None) -> object:
    return Field(pattern=f"^({pattern})$", description=description, max_length=at_most)


AccountId = Annotated[str, _text(r"[0-9]{12}", "12 digits in quotes")]
Region = Annotated[str, _text(r"[a-z]{2}(-[a-z]+)+-[0-9]", "an AWS region such as 'us-east-1'")]
# SageMaker takes 256 characters, and EMR Serverless as many for "<name>-prepare" (botocore 1.44.5).
PipelineName = Annotated[
    str, _text(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", "letters, digits and hyphens, 248 at most", 248)
]
RoleArn = Annotated[
    str, _text(rf"{_ARN}:iam::[0-9]{{12}}:role/[A-Za-z0-9+=,.@_/-]+", "the ARN of an IAM role")
]
SigningKeyArn = Annotated[
    str,
    _text(
        rf"{_ARN}:kms:[a-z0-9-]+:[0-9]{{12}}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)",
        "the ARN of a KMS key or of its alias",
    ),
]
# SubjectPublicKeyInfo of P-256 in DER is 91 bytes: 27 that are always the same (RFC 5480), then the
# point's coordinates.
PublicKey = Annotated[
    str,
    _text(
        r"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[A-Za-z0-9+/]{86}==",
        "a P-256 public key as kms.GetPublicKey returns it (base64 of the DER)",
    ),
]
# compiles, and is never deployed (pipeline/deployment/deploy.py)
PLACEHOLDER_KEY = f"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{'A' * 86}=="
GroupName = Annotated[
    str, _text(r"[A-Za-z0-9][A-Za-z0-9 _.@-]{0,254}", "the name of a group of the workspace")
]
TagName = Annotated[str, _text(r"[A-Za-z0-9_-]{1,127}", "the name of a model version's tag")]
Bucket = Annotated[
    str,
    Field(
        pattern=f"^{_BUCKET}$", min_length=3, max_length=63, description="the name of an S3 bucket"
    ),
]
S3Uri = Annotated[
    str,
    _text(
        rf"s3://{_BUCKET}(/\.*[A-Za-z0-9_=-][A-Za-z0-9_.=-]*)+",
        "s3://bucket/prefix without a final /",
    ),
]
SecretId = Annotated[
    str,
    _text(
        rf"(arn:[a-z0-9:-]+:secret:)?[A-Za-z0-9][A-Za-z0-9/_+=.@-]*|federated:{_UUID}",
        "the name or ARN of a secret (500 characters), never its value, or federated:<client id>",
        500,
    ),
]
ClientId = Annotated[
    str,
    _text(
        _UUID,
        "the application id (a UUID) of a service principal",
    ),
]
ApplicationId = Annotated[str, _text(r"[0-9a-z]{1,64}", "the id of an EMR Serverless application")]
EntryPoint = Annotated[
    str, _text(r"(local:///|s3://)[A-Za-z0-9_./-]+\.py", "local:///path.py in the image, or s3://")
]
_HUB_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
BaseModelName = Annotated[
    str, _text(rf"{_HUB_NAME}(/{_HUB_NAME})?", "a model's name or owner/name, 96 characters each")
]
Revision = Annotated[
    str, _text(r"[0-9a-f]{40}", "the 40 hex digits of a commit, never a branch or tag")
]
SubnetIds = Annotated[
    tuple[Annotated[str, _text(r"subnet-[0-9a-f]{8,17}", "a subnet's id")], ...],
    Field(max_length=16, description="a list of subnet ids, 16 at most"),
]
SecurityGroupIds = Annotated[
    tuple[Annotated[str, _text(r"sg-[0-9a-f]{8,17}", "a security group's id")], ...],
    Field(max_length=5, description="a list of security group ids, 5 at most"),
]
Tags = Annotated[
    dict[
        Annotated[str, _text(r"[A-Za-z0-9 _.:/=+@-]{1,128}", "a tag's key")],
        Annotated[
            str,
            _text(r"[A-Za-z0-9 _.:/=+@-]{0,256}", "text of letters, digits, spaces and _.:/=+@-"),
        ],
    ],
    AfterValidator(_tags),
    Field(description="tags, text to text"),
]
SparkConf = Annotated[
    dict[str, str],
    AfterValidator(_spark_conf),
    Field(description="Spark settings, text to text (numbers in quotes)"),
]
Host = Annotated[str, AfterValidator(_host), Field(description="the URL of a Databricks workspace")]
QueueUrl = Annotated[str, AfterValidator(_queue_url), Field(description="the URL of an SQS queue")]
Experiment = Annotated[
    str,
    AfterValidator(_experiment),
    Field(description="/folder/name of an experiment in the workspace, or null"),
]
Image = Annotated[str, AfterValidator(_image), Field(description="an image by digest")]
# Lower case only: SageMaker writes an ARN's names so [unverified], and policies name the ARN.
ModelPackageGroup = Annotated[
    str,
    _text(r"[a-z0-9](-*[a-z0-9]){0,62}", "lower-case letters, digits and hyphens, 63 at most", 63),
]
