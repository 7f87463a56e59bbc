"""Groups of model packages in SageMaker's own registry, and their type in CloudFormation.

    groups = Groups(account)
    handlers["AWS::SageMaker::ModelPackageGroup"] = provisioner(groups)

What SageMaker's registry refuses, it refuses as ValidationException [its API reference names no
error for an absent name; unverified].
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, Invalid
from pipeline.local.aws.store import Document, now

GROUP, PACKAGE = "model-package-group", "model-package"  # the kinds in the store, and in ARNs
TYPE = "AWS::SageMaker::ModelPackageGroup"


class Groups:
    """CreateModelPackageGroup, DescribeModelPackageGroup, DeleteModelPackageGroup."""

    def __init__(self, account: Account) -> None:
        self._account, self._store = account, account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "CreateModelPackageGroup": self.create,
            "DescribeModelPackageGroup": self.describe,
            "DeleteModelPackageGroup": self.delete,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Make an empty group."""
        name = request["ModelPackageGroupName"]
        arn = self._account.arn("sagemaker", f"{GROUP}/{name}")
        with self._store.alone():
            if self._store.get(GROUP, name) is not None:
                raise Invalid(f"Model Package Group already exists: {arn}")
            document = {key: value for key, value in request.items() if key != "Tags"}
            document |= {
                "ModelPackageGroupArn": arn,
                "CreationTime": now(),
                "CreatedBy": user_context(caller),
                "ModelPackageGroupStatus": "Completed",
                "_tags": request.get("Tags") or [],
                "_last": 0,  # the number of its newest package; numbers are not used again
            }
            self._store.add(GROUP, name, document)
        return {"ModelPackageGroupArn": arn}

    def describe(self, caller: Caller, request: Document) -> Document:
        """The group without its packages."""
        return public(self.named(request["ModelPackageGroupName"]))

    def delete(self, caller: Caller, request: Document) -> Document:
        """Remove an empty group."""
        group = self.named(request["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        if any(each["ModelPackageGroupName"] == name for each in self._store.all(PACKAGE)):
            raise Conflict(f"Cannot delete Model Package Group {name}: it has model packages")
        self._store.remove(GROUP, name)
        return {}

    def named(self, name: str) -> Document:
        """Return a group by its name or ARN.

        Raises:
            Invalid: no group has it.
        """
        found = self._store.get(GROUP, name.rpartition("/")[2])
        if found is None:
            raise Invalid(f"Model Package Group {name} does not exist.")
        return found


def provisioner(groups: Groups) -> dict[str, Callable[..., Any]]:
    """Return the functions that CloudFormation calls; `Ref` is the group's ARN."""
    owner = Caller("", "arn:aws:iam::cloudformation")

    def create(logical_id: str, properties: Document, stack_name: str) -> Any:
        arn = groups.create(owner, dict(properties))["ModelPackageGroupArn"]
        return arn, {"ModelPackageGroupArn": arn}

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Any:
        if any(old.get(key) != new.get(key) for key in {*old, *new} - {"Tags"}):
            raise ValueError(f"{physical_id} cannot be changed: make a group of another name")
        return physical_id, {"ModelPackageGroupArn": physical_id}

    def delete(physical_id: str, properties: Document) -> None:
        groups.delete(owner, {"ModelPackageGroupName": physical_id})

    return {"create": create, "update": update, "delete": delete}


def user_context(caller: Caller) -> Document:
    """Who called, as the answers of SageMaker name them outside of Studio [unverified]."""
    identity = {"Arn": caller.arn, "PrincipalId": caller.principal_id}
    return {"IamIdentity": {key: value for key, value in identity.items() if value is not None}}


def public(document: Document) -> Document:
    """Return the fields of AWS's answer."""
    return {key: value for key, value in document.items() if not key.startswith("_")}
