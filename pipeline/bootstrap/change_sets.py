"""One change set of a stack: created, shown, executed or deleted.

    change_set = ChangeSet(cloudformation, request, waiting)
    changes = change_set.create(ChangeSetType="UPDATE")
    change_set.execute("stack_update_complete")

What a template retains outlives its stack, such as a log group. It is imported into the next one if
the template states its name as it is, and not by Fn::Sub.

Answers to what can go wrong, since each call can be repeated:
    lost response   a change set's name is made of its content: the repeated call finds it
    crash           an unfinished change set is replaced; a stack under way is refused, by its state
    timeout         of the waiters: 40 minutes; the stack continues; the next run finds its state
    429, 5xx        botocore's retries (pipeline.account)
    expired token   refused in one message; the stack continues
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.doctor import layers as deployed_layers
from pipeline.errors import Refused

_SIGNS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "+"}


def line(change: Mapping[str, Any]) -> str:
    """Return a change of a resource in one line, with the properties that change."""
    found = change["ResourceChange"]
    sign = "-/+" if found.get("Replacement") == "True" else _SIGNS.get(found["Action"], "~")
    names = sorted(
        {
            str(target.get("Name") or target.get("Attribute", ""))
            for each in found.get("Details", ())
            if (target := each.get("Target"))
        }
    )
    what = f"{sign} {found['ResourceType']} {found['LogicalResourceId']}"
    return f"{what}: {', '.join(names)}" if names else what


@dataclass(frozen=True)
class ChangeSet:
    """A change set; `request` is CreateChangeSet's, with a name that is made of its content."""

    cloudformation: Any
    request: Mapping[str, Any]
    waiting: Mapping[str, float]  # of the waiters: Delay in seconds, MaxAttempts

    def create(self, **more: Any) -> list[dict[str, Any]]:
        """Make the change set, wait for it, and return its changes.

        Raises:
            Refused: CloudFormation refused it.
        """
        if deployed_layers.stack(self.cloudformation, self.request["StackName"]) is not None:
            self.delete()  # of a run that crashed
        with suppress(self.cloudformation.exceptions.AlreadyExistsException):
            # the second call, if an answer was lost
            self.cloudformation.create_change_set(
                **self.request, ImportExistingResources=True, **more
            )
        return self._described()

    def execute(self, waiter: str) -> None:
        """Execute it and wait for the stack.

        Raises:
            Refused: a resource failed; the message has the first one and its reason.
        """
        from botocore.exceptions import WaiterError

        # By its id: a stack that failed is deleted, and its name then finds nothing.
        stack = self.cloudformation.describe_change_set(**self._named)["StackId"]
        self.cloudformation.execute_change_set(
            **self._named,
            ClientRequestToken=self._named["ChangeSetName"],
            RetainExceptOnCreate=True,  # a failure keeps nothing that it made
        )
        try:
            waiting = self.cloudformation.get_waiter(waiter)
            waiting.wait(StackName=stack, WaiterConfig=self.waiting)
        except WaiterError as error:
            reason = deployed_layers.first_failure(self.cloudformation, stack)
            raise Refused(f"stack {self.request['StackName']}: {reason}") from error

    def delete(self) -> None:
        """Delete it; the stack stays as it is."""
        self.cloudformation.delete_change_set(**self._named)

    @property
    def _named(self) -> dict[str, str]:
        return {key: self.request[key] for key in ("StackName", "ChangeSetName")}

    def _described(self) -> list[dict[str, Any]]:
        from botocore.exceptions import WaiterError

        try:
            waiter = self.cloudformation.get_waiter("change_set_create_complete")
            waiter.wait(**self._named, WaiterConfig=self.waiting)
        except WaiterError as error:
            described = self.cloudformation.describe_change_set(**self._named)
            reason = str(described.get("StatusReason", ""))
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return []
            raise Refused(f"CloudFormation refused the change set: {reason or error}") from error
        pages = self.cloudformation.get_paginator("describe_change_set").paginate(**self._named)
        return [change for page in pages for change in page.get("Changes", ())]
