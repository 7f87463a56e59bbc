"""One group of model packages in SageMaker's own registry: find, make, describe, decide.

    group = PackageGroup(region, "governed-finetune-dev")
    arn = group.made(request)               # found by its description, or made
    group.decide(arn, "Approved", "approvals/…/1.json: …")

| what happens | answer |
|---|---|
| lost answer, time-out, 429, 5xx or conflict as it is made | looked for, then sent again, thrice |
| the same as it is decided or read | repeated by botocore: the call sets a state |
| duplicate | found by its description; the ClientToken is of the request's bytes |
| expired token, no right | final, with AWS's code |
| crash before or after | the next attempt finds what was made |

How long SageMaker remembers a ClientToken is [unverified], so nothing rests on it alone.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from steps.governance import aws
from steps.governance.errors import GovernanceError, MalformedAnswer, NotFound, Unavailable

_ATTEMPTS, _PAUSE_SECONDS = 3, 1.0
_PAGE = 100
_READY_SECONDS = 60.0  # a package without a validation job is complete at once [unverified]
_TOKEN_CHARACTERS = 36  # of a ClientToken at most [botocore 1.44.5]
_REFUSED = "ValidationException"  # SageMaker's registry has it for an absent name too


@dataclass(frozen=True)
class Package:
    """One package as SageMaker has it. `changed_by`: who changed it last, or made it."""

    arn: str
    made: str  # Completed, Pending, InProgress, Failed, Deleting
    status: str  # Approved, Rejected, PendingManualApproval
    subject: str  # its description
    reason: str  # its approval's description
    metadata: Mapping[str, str] = field(default_factory=dict)
    archives: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    changed_by: str = ""
    changed_at: datetime | None = None


class PackageGroup:
    """The packages of one group, with this process's role."""

    def __init__(self, region: str, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name, self._sleep = name, sleep
        self._client = aws.client("sagemaker", region)
        self._once = aws.client("sagemaker", region, attempts=1)

    def summaries(self) -> Iterator[tuple[str, str]]:
        """Yield ARN and description of each package, oldest first.

        Raises:
            NotFound: the group does not exist.
        """
        yield from ((arn, description) for arn, description, _ in self.statuses())

    def statuses(self) -> list[tuple[str, str, str]]:
        """Return ARN, description and approval status of each package, oldest first.

        Raises:
            NotFound: the group does not exist.
        """
        with _translated(f"list the packages of {self.name}"):
            pages = self._client.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=self.name,
                SortBy="CreationTime",
                SortOrder="Ascending",
                PaginationConfig={"PageSize": _PAGE},
            )
            return [
                (
                    str(each["ModelPackageArn"]),
                    str(each.get("ModelPackageDescription", "")),
                    str(each.get("ModelApprovalStatus", "")),
                )
                for page in pages
                for each in page["ModelPackageSummaryList"]
            ]

    def find(self, beginning: str) -> str | None:
        """Return the ARN of the oldest package whose description begins so, or None."""
        return next((arn for arn, text in self.summaries() if text.startswith(beginning)), None)

    def made(self, request: Mapping[str, Any], beginning: str) -> str:
        """Return the ARN of the package of a description, which is made if it does not exist.

        Raises:
            Unavailable: three attempts had no answer.
        """
        lost: Unavailable | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
            if arn := self.find(beginning):
                return arn
            try:
                return self._create(request)
            except Unavailable as error:
                lost = error
        raise lost or Unavailable(f"no package was made in {self.name}")

    def describe(self, arn: str) -> Package:
        """Return a package.

        Raises:
            NotFound: it was deleted.
        """
        with _translated(f"describe {arn}"):
            return _package(self._client.describe_model_package(ModelPackageName=arn))

    def ready(self, arn: str) -> Package:
        """Return a package that is made.

        Raises:
            GovernanceError: SageMaker could not make it, or not within a minute.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while (package := self.describe(arn)).made != "Completed":
            if package.made not in ("Pending", "InProgress") or time.monotonic() > deadline:
                raise GovernanceError(
                    f"{arn} cannot be decided about",
                    expected="a package that is Completed",
                    got=package.made,
                    do="look at it in SageMaker; an administrator deletes it, then run this again",
                )
            self._sleep(_PAUSE_SECONDS)
        return package

    def decide(self, arn: str, status: str, reason: str) -> None:
        """Set a package's status and the reason. Repeating it has the same effect."""
        with _translated(f"set {arn} to {status}"):
            answer = self._client.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=reason
            )
            answer["ModelPackageArn"]

    def _create(self, request: Mapping[str, Any]) -> str:
        content = {"ModelPackageGroupName": self.name, **request}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        with _translated(f"make a package in {self.name}"):
            answer = self._once.create_model_package(
                **content, ClientToken=digest[:_TOKEN_CHARACTERS]
            )
            return str(answer["ModelPackageArn"])


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Raise AWS's errors as ours; this registry has its own codes."""
    with aws.translated(doing):
        try:
            yield
        except ClientError as error:
            code, text = aws.error_code(error), str(error)
            if code == "ConflictException":
                raise Unavailable(
                    f"SageMaker changes it now: {doing}", got=code, do="run it again"
                ) from error
            if code == _REFUSED and "does not exist" in text:
                raise NotFound(
                    f"nothing there: {doing}",
                    got=text[:300],
                    do="`python -m pipeline.doctor` shows whether the group is deployed",
                ) from error
            raise
        except (KeyError, TypeError) as error:
            raise MalformedAnswer(
                f"SageMaker's answer cannot be used: {doing}", got=f"no {error}"
            ) from error


def _package(answer: Mapping[str, Any]) -> Package:
    containers = answer.get("InferenceSpecification", {}).get("Containers", [])
    who = answer.get("LastModifiedBy") or answer.get("CreatedBy") or {}
    return Package(
        arn=str(answer["ModelPackageArn"]),
        made=str(answer["ModelPackageStatus"]),
        status=str(answer.get("ModelApprovalStatus", "")),
        subject=str(answer.get("ModelPackageDescription", "")),
        reason=str(answer.get("ApprovalDescription", "")),
        metadata=dict(answer.get("CustomerMetadataProperties", {})),
        archives=tuple(str(each.get("ModelDataUrl", "")) for each in containers),
        images=tuple(str(each.get("Image", "")) for each in containers),
        changed_by=str(who.get("IamIdentity", {}).get("Arn", who.get("UserProfileArn", ""))),
        changed_at=answer.get("LastModifiedTime") or answer.get("CreationTime"),
    )
