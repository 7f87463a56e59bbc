"""Wrong policies: each is one of the template's documents with one small change.

    for mutant in mutants.of(document): ...      # .what names the change

The changes are those that a person makes by mistake: a statement, an action, a resource, a
principal or a condition that is missing, an action or a resource that is too wide or too narrow,
another operator or value of a condition, Allow for Deny.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.local.aws.rights.world import Document

Statement = dict[str, Any]
_OPPOSITE = {
    "StringEquals": "StringNotEquals",
    "StringNotEquals": "StringEquals",
    "StringLike": "StringNotLike",
    "ArnEquals": "ArnNotEquals",
    "ArnNotEquals": "ArnEquals",
    "ArnLike": "ArnNotLike",
    "NumericLessThanEquals": "NumericGreaterThan",
    "ForAllValues:StringEquals": "ForAnyValue:StringNotEquals",
}
_SWITCHES = {"Null", "Bool"}  # their opposite is the other value


@dataclass(frozen=True)
class Mutant:
    """One changed document."""

    document: str
    what: str
    body: dict[str, Any]


def of(document: Document) -> Iterator[Mutant]:
    """Yield each mutant of a document once."""
    statements = _listed(document.body["Statement"])
    seen = {repr(statements)}
    for number, statement in enumerate(statements):
        name = statement.get("Sid", f"statement {number + 1}")
        for what, changed in _changes(statement, own=document.kind == "resource"):
            others = [*statements[:number], *changed, *statements[number + 1 :]]
            if repr(others) not in seen:
                seen.add(repr(others))
                yield Mutant(document.name, f"{name}: {what}", {"Statement": others})


def _changes(statement: Statement, *, own: bool) -> Iterator[tuple[str, list[Statement]]]:
    yield "no statement", []
    effect = "Deny" if statement["Effect"] == "Allow" else "Allow"
    yield f"{effect} instead", [{**statement, "Effect": effect}]
    for what, changed in (
        *_shorter(statement, "Action"),
        *_shorter(statement, "Resource"),
        *_shorter(statement, "NotResource"),
        *_other_actions(statement, own=own),
        *_other_resources(statement, own=own),
        *_conditions(statement),
        *_principals(statement),
    ):
        yield what, [changed]


def _shorter(statement: Statement, key: str) -> Iterator[tuple[str, Statement]]:
    values = _listed(statement.get(key, []))
    for value in values if len(values) > 1 else ():
        yield f"without {value}", {**statement, key: [each for each in values if each != value]}


def _other_actions(statement: Statement, *, own: bool) -> Iterator[tuple[str, Statement]]:
    """A resource's own policy is asked about actions of its service only."""
    values = _listed(statement["Action"])
    for action in values:
        service, verb = action.split(":")
        word = re.match("[A-Z][a-z]+", verb)
        others = [f"{service}:*"] + ([f"{service}:{word[0]}*"] if word else [])
        others += [] if own else ["*"]
        others += [action.rstrip("*")] if verb.endswith("*") and verb != "*" else []
        for other in others:
            changed = [other if each == action else each for each in values]
            if changed != values:
                yield f"{action} becomes {other}", {**statement, "Action": changed}


def _other_resources(statement: Statement, *, own: bool) -> Iterator[tuple[str, Statement]]:
    """A resource's own policy is asked about this resource only, so `*` changes nothing there."""
    for key in ("Resource", "NotResource"):
        values = _listed(statement.get(key, []))
        for resource in values:
            for other in _wider(resource, own=own):
                changed = [other if each == resource else each for each in values]
                if changed != values:
                    yield f"{resource} becomes {other}", {**statement, key: changed}


def _wider(resource: str, *, own: bool) -> Iterator[str]:
    """Without its last part, with every resource of that kind, and everything."""
    if resource == "*" or (own and "/" not in resource):
        return
    if not own:
        yield "*"
        yield ":".join([*resource.split(":")[:5], "*"])
    stem = resource.rstrip("*").rstrip("/:")
    parts = re.split("(?<=[/:])", stem)
    if len(parts) > 6 and (not own or "/" in "".join(parts[:-1])):
        yield "".join(parts[:-1]) + "*" + resource[len(stem) :]


def _conditions(statement: Statement) -> Iterator[tuple[str, Statement]]:
    conditions: dict[str, dict[str, Any]] = statement.get("Condition", {})
    if conditions:
        yield "no condition", {key: each for key, each in statement.items() if key != "Condition"}
    for operator, keys in conditions.items():
        for key, value in keys.items():
            for what, changed in _other_condition(operator, key, value):
                whole = copy.deepcopy(conditions)
                del whole[operator][key]
                for name, found in changed.items():
                    whole.setdefault(name, {})[key] = found
                kept = {name: found for name, found in whole.items() if found}
                yield f"{operator} {key}: {what}", {**statement, "Condition": kept}


def _other_condition(operator: str, key: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "gone", {}
    if operator in _SWITCHES:
        yield "the other value", {operator: "false" if value == "true" else "true"}
        return
    yield "the opposite", {_OPPOSITE[operator]: value}
    if not operator.startswith(("ForAll", "ArnNot", "StringNot")):
        yield "only if present", {f"{operator}IfExists": value}
    values = _listed(value)
    for each in values:
        rest = [other for other in values if other != each]
        yield f"another value than {each}", {operator: [*rest, _other(each)]}
        if rest:
            yield f"without {each}", {operator: rest}


def _other(value: str | int) -> str | int:
    return value + 1 if isinstance(value, int) else f"{value}-other"


def _principals(statement: Statement) -> Iterator[tuple[str, Statement]]:
    principal = statement.get("Principal")
    if principal == "*":
        one = {"AWS": "arn:aws:iam::000000000000:role/governed-finetune-local-train"}
        yield "of train alone", {**statement, "Principal": one}
    if not isinstance(principal, dict):
        return
    yield "of everybody", {**statement, "Principal": "*"}
    for kind, value in principal.items():
        values = _listed(value)
        for each in values:
            rest = [other for other in values if other != each]
            for what, changed in (("no", rest), ("another than", [*rest, f"{each}-other"])):
                if changed:
                    yield f"{what} {each}", {**statement, "Principal": {kind: changed}}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
