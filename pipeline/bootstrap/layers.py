"""The layers of conf/infrastructure as change sets of CloudFormation: planned, shown, executed.

    yield from layers.changes(Stacks(client("cloudformation"), config, given), "identity")

A layer whose template, parameters and tags are deployed is left alone, without a change set. What
is made of a new layer is read from its template; what changes in a deployed one is computed by
CloudFormation, in a change set that is deleted again if it is not executed. A resource that
somebody changed by hand is not seen here: `pipeline.doctor` compares resources.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.bootstrap import change_sets, parameters
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration.config import Config
from pipeline.doctor import layers as deployed_layers
from pipeline.doctor import template
from pipeline.errors import Refused

_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_EMPTY = "REVIEW_IN_PROGRESS"  # a stack of a change set that nobody executed
_WAIT = {"Delay": 2.0, "MaxAttempts": 1200}
_WAIT_LOCAL = {"Delay": 0.1, "MaxAttempts": 1200}


@dataclass
class Stacks:
    """The stacks of one environment, and what is known for their parameters."""

    cloudformation: Any
    config: Config
    given: Mapping[str, str]
    outputs: dict[str, str] = field(default_factory=dict)  # of the layers so far
    # names of what earlier changes give: a plan has no values of them yet
    promised: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> Mapping[str, float]:
        """How long a stack is waited for."""
        return _WAIT_LOCAL if self.config.environment == "local" else _WAIT


def chosen(config: Config) -> tuple[str, ...]:
    """Return the layers of this environment; one with its own subnets has no layer `network`."""
    own = bool(config.train.subnet_ids)
    return tuple(name for name in deployed_layers.LAYERS if not (own and name == "network"))


def changes(stacks: Stacks, layer: str) -> Changes:
    """Yield the change of one layer, if there is one.

    Raises:
        Refused: the stack is in a state that cannot be updated, or CloudFormation refused.
    """
    name = f"governed-finetune-{stacks.config.environment}-{layer}"
    file = deployed_layers.FOLDER / f"{layer}.yaml"
    found = deployed_layers.stack(stacks.cloudformation, name)
    if found is None or found["StackStatus"] == _EMPTY:
        yield from _new(stacks, name, file)
    else:
        _refuse_unfit(name, str(found["StackStatus"]))
        yield from _changed(stacks, name, file, found)
    found = deployed_layers.stack(stacks.cloudformation, name)
    stacks.outputs |= {
        each["OutputKey"]: each["OutputValue"] for each in (found or {}).get("Outputs", ())
    }
    stacks.promised |= template.outputs(file)


def _changed(stacks: Stacks, name: str, file: Path, found: Mapping[str, Any]) -> Changes:
    if missing := _missing(stacks, name, file, found):
        yield missing  # without them CloudFormation computes no change set
        return
    request = _request(stacks, name, file, found)
    if not _is_current(stacks, request, found):
        yield from _update(stacks, name, request)


def _new(stacks: Stacks, name: str, file: Path) -> Changes:
    if missing := _missing(stacks, name, file, {}):
        yield missing
    values = parameters.of(stacks.config, template.declared(file), stacks.given, stacks.outputs)
    seen = template.Deployed(values, {}, {}, stacks.config.aws.region, stacks.config.aws.account_id)
    resources = template.read(file, seen).resources()
    details = tuple(f"+ {kind} {logical}" for logical, kind in resources.items())
    yield Change("+", f"stack {name}", partial(_create, stacks, name, file), details)


def _missing(stacks: Stacks, name: str, file: Path, found: Mapping[str, Any]) -> Change | None:
    """Return, for a person, the parameters that nobody states and no earlier change will."""
    declared = template.declared(file)
    values = parameters.of(stacks.config, declared, stacks.given, stacks.outputs)
    known = {*values, *stacks.promised, *_before(found)}
    missing = tuple(
        f"{key}: {' '.join(str(each.get('Description', '')).split())}"
        for key, each in declared.items()
        if key not in known and "Default" not in each
    )
    if not missing:
        return None
    own = f"conf/infrastructure/parameters/{stacks.config.environment}.yaml"
    return Change("!", f"{own}: parameters of stack {name}", None, missing, stops=True)


def _before(found: Mapping[str, Any]) -> set[str]:
    return {each["ParameterKey"] for each in found.get("Parameters", ())}


def _create(stacks: Stacks, name: str, file: Path) -> None:
    change_set = _change_set(stacks, _request(stacks, name, file, {}))
    change_set.create(ChangeSetType="CREATE", OnStackFailure="DELETE")
    change_set.execute("stack_create_complete")


def _update(stacks: Stacks, name: str, request: dict[str, Any]) -> Changes:
    change_set = _change_set(stacks, request)
    made = change_set.create(ChangeSetType="UPDATE")
    executed: list[bool] = []

    def execute() -> None:
        executed.append(True)
        change_set.execute("stack_update_complete")

    try:
        if made:
            yield Change("~", f"stack {name}", execute, tuple(map(change_sets.line, made)))
    finally:
        if not executed:
            change_set.delete()


def _change_set(stacks: Stacks, request: dict[str, Any]) -> change_sets.ChangeSet:
    return change_sets.ChangeSet(stacks.cloudformation, request, stacks.waiting)


def _request(stacks: Stacks, name: str, file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """The change set of a template: each parameter is stated, kept, or left to its default."""
    declared = template.declared(file)
    values = parameters.of(stacks.config, declared, stacks.given, stacks.outputs)
    before = _before(found)
    request = {
        "StackName": name,
        "TemplateBody": file.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": values[key]}
            if key in values
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in declared
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


def _refuse_unfit(name: str, status: str) -> None:
    if status in _DONE:
        return
    if status.endswith("_IN_PROGRESS"):
        raise Refused(f"stack {name} is {status}: another deployment runs; wait for it")
    raise Refused(
        f"stack {name} is {status}\n  do        look at its events; then "
        f"aws cloudformation delete-stack --stack-name {name}, and run the same command again"
    )
