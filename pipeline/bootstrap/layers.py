"""The layers of conf/infrastructure as change sets of CloudFormation: planned, shown, executed.

    yield from layers.changes(Stacks(client("cloudformation"), config, given), "identity")

A layer whose template, parameters and tags are deployed is left alone, without a change set. What
is made of a new layer is read from its template; what changes in a deployed one is computed by
CloudFormation, in a change set that is deleted again if it is not executed. A resource that
somebody changed by hand is not seen here: `pipeline.doctor` compares resources.

Answers to what can go wrong, since each call can be repeated:
    lost response   a change set's name is made of its content: the repeated call finds it
    crash           an unfinished change set is replaced; a stack under way is refused, by its state
    timeout         of the waiters: 40 minutes; the stack continues; the next run finds its state
    429, 5xx        botocore's retries (pipeline.account)
    expired token   refused in one message; the stack continues
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.bootstrap import parameters
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration.config import Config
from pipeline.doctor import layers as deployed_layers
from pipeline.doctor import template
from pipeline.errors import Refused

_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_EMPTY = "REVIEW_IN_PROGRESS"  # a stack of a change set that nobody executed
_SIGNS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "+"}
_WAIT = {"Delay": 2, "MaxAttempts": 1200}
_WAIT_LOCAL = {"Delay": 0.1, "MaxAttempts": 1200}


@dataclass
class Stacks:
    """The stacks of one environment, and what is known for their parameters."""

    cloudformation: Any
    config: Config
    given: Mapping[str, str]
    outputs: dict[str, str] = field(default_factory=dict)  # of the layers so far

    @property
    def waiting(self) -> dict[str, float]:
        """How long a stack is waited for."""
        return _WAIT_LOCAL if self.config.environment == "local" else _WAIT


def chosen(config: Config) -> tuple[str, ...]:
    """Return the layers of this environment; one with its own subnets has no layer `network`."""
    own = bool(config.train.subnet_ids)
    return tuple(name for name in deployed_layers.LAYERS if not (own and name == "network"))


def changes(stacks: Stacks, layer: str) -> Changes:
    """Yield the change of one layer, if there is one.

    Raises:
        Refused: a parameter has no value, or the stack is in a state that cannot be updated.
    """
    name = f"governed-finetune-{stacks.config.environment}-{layer}"
    file = deployed_layers.FOLDER / f"{layer}.yaml"
    body = file.read_text(encoding="utf-8")
    found = deployed_layers.stack(stacks.cloudformation, name)
    if found is None or found["StackStatus"] == _EMPTY:
        yield _new(stacks, name, file)
    else:
        _refuse_unfit(name, str(found["StackStatus"]))
        request = _request(stacks, name, body, found)
        if not _is_current(stacks, request, found):
            yield from _update(stacks, name, request)
    found = deployed_layers.stack(stacks.cloudformation, name)
    stacks.outputs |= {
        each["OutputKey"]: each["OutputValue"] for each in (found or {}).get("Outputs", ())
    }


def _new(stacks: Stacks, name: str, file: Path) -> Change:
    values = parameters.of(stacks.config, template.declared(file), stacks.given, stacks.outputs)
    seen = template.Deployed(values, {}, {}, stacks.config.aws.region, stacks.config.aws.account_id)
    resources = template.read(file, seen).resources()
    details = tuple(f"+ {kind} {logical}" for logical, kind in resources.items())
    return Change("+", f"stack {name}", partial(_create, stacks, name, file), details)


def _create(stacks: Stacks, name: str, file: Path) -> None:
    request = _request(stacks, name, file.read_text(encoding="utf-8"), None)
    _change_set(stacks, request | {"ChangeSetType": "CREATE", "OnStackFailure": "DELETE"})
    _execute(stacks, request, "stack_create_complete")


def _update(stacks: Stacks, name: str, request: dict[str, Any]) -> Changes:
    made = _change_set(stacks, request | {"ChangeSetType": "UPDATE"})
    executed: list[bool] = []

    def execute() -> None:
        executed.append(True)
        _execute(stacks, request, "stack_update_complete")

    try:
        if made:
            yield Change("~", f"stack {name}", execute, tuple(map(_line, made)))
    finally:
        if not executed:
            stacks.cloudformation.delete_change_set(
                StackName=name, ChangeSetName=request["ChangeSetName"]
            )


def _line(change: Mapping[str, Any]) -> str:
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


def _request(
    stacks: Stacks, name: str, body: str, found: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The change set of a template: each parameter is stated, kept, or left to its default."""
    declared = stacks.cloudformation.validate_template(TemplateBody=body)["Parameters"]
    names = [each["ParameterKey"] for each in declared]
    values = parameters.of(stacks.config, names, stacks.given, stacks.outputs)
    before = {each["ParameterKey"] for each in (found or {}).get("Parameters", ())}
    missing = [
        f"  {each['ParameterKey']}: {' '.join(str(each.get('Description', '')).split())}"
        for each in declared
        if each["ParameterKey"] not in {*values, *before} and "DefaultValue" not in each
    ]
    if missing:
        file = f"conf/infrastructure/parameters/{stacks.config.environment}.yaml"
        raise Refused("\n".join([f"stack {name} needs parameters; state them in {file}", *missing]))
    request = {
        "StackName": name,
        "TemplateBody": body,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": values[key]}
            if key in values
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in names
            if key in values or key in before
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Tags": tags(stacks.config),
    }
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return request | {"ChangeSetName": f"bootstrap-{digest[:32]}"}


def tags(config: Config) -> list[dict[str, str]]:
    """Return a stack's tags, which CloudFormation gives to each resource: cleanup goes by them."""
    pairs = {"project": "governed-finetune", "environment": config.environment}
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def _is_current(stacks: Stacks, request: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    body = stacks.cloudformation.get_template(
        StackName=request["StackName"], TemplateStage="Original"
    )["TemplateBody"]
    have = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())}
    return (
        body == request["TemplateBody"]
        and {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
        == {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        and all(
            have.get(each["ParameterKey"]) == each["ParameterValue"]
            for each in request["Parameters"]
            if "ParameterValue" in each
        )
    )


def _change_set(stacks: Stacks, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the change set, wait for it, and return its changes."""
    cloudformation = stacks.cloudformation
    named = {key: request[key] for key in ("StackName", "ChangeSetName")}
    if deployed_layers.stack(cloudformation, request["StackName"]) is not None:
        cloudformation.delete_change_set(**named)  # of a run that crashed
    with suppress(cloudformation.exceptions.AlreadyExistsException):
        cloudformation.create_change_set(**request)  # the second, if an answer was lost
    return _described(stacks, named)


def _described(stacks: Stacks, named: Mapping[str, str]) -> list[dict[str, Any]]:
    from botocore.exceptions import WaiterError

    cloudformation = stacks.cloudformation
    try:
        waiter = cloudformation.get_waiter("change_set_create_complete")
        waiter.wait(**named, WaiterConfig=stacks.waiting)
    except WaiterError as error:
        described = cloudformation.describe_change_set(**named)
        reason = str(described.get("StatusReason", ""))
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return []
        raise Refused(f"CloudFormation refused the change set: {reason or error}") from error
    pages = cloudformation.get_paginator("describe_change_set").paginate(**named)
    return [change for page in pages for change in page.get("Changes", ())]


def _execute(stacks: Stacks, request: Mapping[str, Any], waiter: str) -> None:
    from botocore.exceptions import WaiterError

    cloudformation, name = stacks.cloudformation, request["StackName"]
    change_set = request["ChangeSetName"]
    cloudformation.execute_change_set(
        StackName=name, ChangeSetName=change_set, ClientRequestToken=change_set
    )
    try:
        cloudformation.get_waiter(waiter).wait(StackName=name, WaiterConfig=stacks.waiting)
    except WaiterError as error:
        reason = deployed_layers.first_failure(cloudformation, name)
        raise Refused(f"stack {name}: {reason}") from error


def _refuse_unfit(name: str, status: str) -> None:
    if status in _DONE:
        return
    if status.endswith("_IN_PROGRESS"):
        raise Refused(f"stack {name} is {status}: another deployment runs; wait for it")
    raise Refused(
        f"stack {name} is {status}\n  do        look at its events; then "
        f"aws cloudformation delete-stack --stack-name {name}, and run the same command again"
    )
