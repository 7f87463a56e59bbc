"""The packages of a group in SageMaker's own registry, read as they are now.

    Packages(region, "governed-finetune-dev").all()     # oldest first

Reads only, which botocore repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from steps.audit.services.store import client, translated
from steps.governance.errors import NotFound, Unavailable


@dataclass(frozen=True)
class Package:
    """One package. `changed` names who changed it last, or made it, and when."""

    name: str  # <group>/<number>
    status: str
    subject: str
    reason: str
    metadata: Mapping[str, str]
    archives: tuple[str, ...]
    images: tuple[str, ...]
    changed: str


class Packages:
    """Reads of one group."""

    def __init__(self, region: str, group: str) -> None:
        self.group = group
        self._sagemaker = client("sagemaker", region)

    def all(self) -> list[Package]:
        """Return the packages, oldest first; they are read once.

        Raises:
            NotFound: the group does not exist.
        """
        return self._all

    @cached_property
    def _all(self) -> list[Package]:
        pages = self._sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Ascending"
        )
        with translated(f"list the packages of {self.group}"):
            try:
                arns = [
                    str(each["ModelPackageArn"])
                    for page in pages
                    for each in page["ModelPackageSummaryList"]
                ]
                return [self._described(arn) for arn in arns]
            except ClientError as error:
                if "does not exist" in str(error):  # its code is ValidationException
                    raise NotFound(f"no group {self.group}", got=str(error)[:200]) from error
                raise
            except (KeyError, TypeError) as error:
                raise Unavailable(
                    f"SageMaker's answer about {self.group} cannot be used", got=f"no {error}"
                ) from error

    def _described(self, arn: str) -> Package:
        answer = self._sagemaker.describe_model_package(ModelPackageName=arn)
        containers = answer.get("InferenceSpecification", {}).get("Containers", [])
        return Package(
            name=str(arn).rpartition("model-package/")[2],
            status=str(answer.get("ModelApprovalStatus", "")),
            subject=str(answer.get("ModelPackageDescription", "")),
            reason=str(answer.get("ApprovalDescription", "")),
            metadata=dict(answer.get("CustomerMetadataProperties", {})),
            archives=tuple(str(each.get("ModelDataUrl", "")) for each in containers),
            images=tuple(str(each.get("Image", "")) for each in containers),
            changed=_changed(answer),
        )


def _changed(answer: Mapping[str, Any]) -> str:
    who = answer.get("LastModifiedBy") or answer.get("CreatedBy") or {}
    name = who.get("IamIdentity", {}).get("Arn") or who.get("UserProfileArn") or "nobody named"
    at = answer.get("LastModifiedTime") or answer["CreationTime"]
    return f"{name} at {at:%Y-%m-%dT%H:%M:%SZ}"
