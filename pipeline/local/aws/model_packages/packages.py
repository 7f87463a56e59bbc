"""Versioned model packages of a group, as SageMaker's own registry has them.

Bounds and patterns are those of botocore's model (1.44.5). A ClientToken that was seen before
returns the package that it made; with another request it is a conflict. Unversioned packages,
validation jobs and marketplace products are not served. Nothing looks whether archive and image
exist [whether SageMaker does is unverified].
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws import limits, paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, Invalid, NotServed
from pipeline.local.aws.model_packages.groups import GROUP, PACKAGE, Groups, public, user_context
from pipeline.local.aws.store import Document, now

_ARN = "ModelPackageArn"
PENDING = "PendingManualApproval"
_SERVED = {
    "ModelPackageGroupName", "ModelPackageDescription", "InferenceSpecification",
    "ModelApprovalStatus", "MetadataProperties", "ModelMetrics", "ClientToken",
    "CustomerMetadataProperties", "ModelCard", "Domain", "Task", "SkipModelValidation",
}  # fmt: skip
_CHANGED = ("ModelApprovalStatus", "ApprovalDescription", "ModelCard", "InferenceSpecification")
_UPDATE_SERVED = {_ARN, "CustomerMetadataProperties", "ClientToken", *_CHANGED}
_LIST_SERVED = {
    "ModelPackageGroupName", "ModelApprovalStatus", "CreationTimeAfter", "CreationTimeBefore",
    "SortBy", "SortOrder", "ModelPackageType",
}  # fmt: skip
_SUMMARY = (
    "ModelPackageGroupName", "ModelPackageVersion", _ARN, "ModelPackageDescription",
    "CreationTime", "ModelPackageStatus", "ModelApprovalStatus",
)  # fmt: skip
# Python's `re` lacks these classes of Unicode
_CLASSES = {
    **dict.fromkeys("LMN", r"\w"),
    "Z": " ",
    **dict.fromkeys("PS", r"!-/:-@\[-`{-~\u00a1-\u00bf\u2010-\u203a"),
}


class Packages:
    """CreateModelPackage, DescribeModelPackage, ListModelPackages, UpdateModelPackage,
    DeleteModelPackage.
    """

    def __init__(self, account: Account, groups: Groups) -> None:
        self._account, self._store, self._groups = account, account.store, groups
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self.describe,
            "ListModelPackages": self.list_all,
            "UpdateModelPackage": self.update,
            "DeleteModelPackage": self.delete,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Add a version to a group; its number is one more than the newest one's."""
        if "Tags" in request:
            raise Invalid("Tags are not allowed for a model package in a Model Package Group.")
        _check("CreateModelPackage", request, _SERVED | {"ModelPackageGroupName"})
        group = self._groups.named(request["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        self._check_packages_allowed(caller, "CreateModelPackage", name)
        given = {key: value for key, value in request.items() if key != "ClientToken"}
        with self._store.edit(GROUP, name) as edited:
            token = request.get("ClientToken")
            for made in self._store.all(PACKAGE):
                if token is not None and made["_token"] == token:
                    return _same(made, given)
            number = edited["_last"] = edited["_last"] + 1
            arn = self._account.arn("sagemaker", f"{PACKAGE}/{name}/{number}")
            self._store.add(PACKAGE, arn, _document(arn, given, caller, token=token))
        return {_ARN: arn}

    def describe(self, caller: Caller, request: Document) -> Document:
        """The whole package."""
        return public(self._package(request["ModelPackageName"]))

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Packages of one group, newest first, filtered by status and time."""
        paging.check("ListModelPackages", request, _LIST_SERVED)
        if "ModelPackageGroupName" not in request:
            raise NotServed("ListModelPackages without ModelPackageGroupName")
        name = self._groups.named(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        self._check_packages_allowed(caller, "ListModelPackages", name)
        found = [
            {key: each[key] for key in _SUMMARY if key in each}
            for each in paging.ordered(self._store.all(PACKAGE), request)
            if each["ModelPackageGroupName"] == name
            and request.get("ModelApprovalStatus") in (None, each["ModelApprovalStatus"])
        ]
        summaries, token = paging.page(found, request)
        return {"ModelPackageSummaryList": summaries, **token}

    def update(self, caller: Caller, request: Document) -> Document:
        """Change status, description, card or metadata; it names who did."""
        _check("UpdateModelPackage", request, _UPDATE_SERVED)
        arn = self._package(request[_ARN])[_ARN]
        with self._store.edit(PACKAGE, arn) as package:
            package |= {key: request[key] for key in _CHANGED if key in request}
            more = request.get("CustomerMetadataProperties") or {}
            package["CustomerMetadataProperties"] = package["CustomerMetadataProperties"] | more
            package |= {"LastModifiedTime": now(), "LastModifiedBy": user_context(caller)}
        return {_ARN: arn}

    def delete(self, caller: Caller, request: Document) -> Document:
        """Remove a package; its number is not used again."""
        self._store.remove(PACKAGE, self._package(request["ModelPackageName"])[_ARN])
        return {}

    def _package(self, arn: str) -> Document:
        found = self._store.get(PACKAGE, arn)
        if found is None:
            raise Invalid(f"ModelPackage {arn} does not exist.")
        return found

    def _check_packages_allowed(self, caller: Caller, action: str, group: str) -> None:
        """The action has two types of resource: IAM has decided about the group already."""
        packages = self._account.arn("sagemaker", f"{PACKAGE}/{group}/*")
        self._account.check_allowed(caller, f"sagemaker:{action}", packages)


class ModelPackages:
    """All operations of the registry, and its groups for CloudFormation."""

    def __init__(self, account: Account) -> None:
        self.groups = Groups(account)
        self.operations = {**self.groups.operations, **Packages(account, self.groups).operations}


def _document(arn: str, given: Document, caller: Caller, *, token: str | None) -> Document:
    name, _, number = arn.rpartition(f":{PACKAGE}/")[2].partition("/")
    defaults = {"ModelApprovalStatus": PENDING, "CustomerMetadataProperties": {}}
    return {
        **defaults,
        **given,
        _ARN: arn,
        "ModelPackageName": name,
        "ModelPackageGroupName": name,
        "ModelPackageVersion": int(number),
        "CreationTime": now(),
        "CreatedBy": user_context(caller),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "_token": token,
        "_given": given,
    }


def _same(made: Document, given: Document) -> Document:
    if made["_given"] != given:
        raise Conflict("this ClientToken made a model package by another request")
    return {_ARN: made[_ARN]}


def _check(operation: str, request: Document, served: set[str]) -> None:
    """Refuse what is not served, what a pattern of the model excludes, and a card that is not JSON.

    `limits` has checked lengths before.
    """
    if strange := sorted(request.keys() - served):
        raise NotServed(f"{operation} {', '.join(strange)}")
    if fault := next(_unmatched(limits.input_of("sagemaker", operation), request), None):
        raise Invalid(f"1 validation error detected: Value at '{fault}' does not match its pattern")
    card = (request.get("ModelCard") or {}).get("ModelCardContent")
    try:
        whole = card is None or isinstance(json.loads(card), dict)
    except ValueError:
        whole = False
    if not whole:
        raise Invalid("Model card content is not a valid JSON object.")


def _unmatched(shape: Any, value: Any, where: str = "") -> Any:
    """Yield where a text does not match the model's pattern, or is not one of its words."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from _unmatched(shape.members[name], inner, f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for number, inner in enumerate(value, 1):
            yield from _unmatched(shape.member, inner, f"{where}.{number}")
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from _unmatched(shape.key, key, f"{where}.{key}")
            yield from _unmatched(shape.value, inner, f"{where}.{key}")
    elif shape.type_name == "string":
        words, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if (words and value not in words) or (pattern and not _matches(pattern, value)):
            yield where


def _matches(pattern: str, value: str) -> bool:
    """Whether a text has the form."""
    bounds = re.sub(r"\$\{\d+,\d+\}$", "", pattern)  # of customer metadata: the model's own typo
    known = re.sub(r"\\p\{([A-Z])\}", lambda found: _CLASSES[found[1]], bounds)
    return re.fullmatch(known, value) is not None
