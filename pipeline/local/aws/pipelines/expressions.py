"""Evaluate the expressions of a compiled definition: `Get`, `Std:Join` and conditions. These are
pure functions.

    resolve({"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Bucket"}]}}, scope)
    holds({"Type": "LessThanOrEqualTo", "LeftValue": {...}, "RightValue": {...}}, scope)

A `Scope` holds the values that `Get` may name: `Parameters.<name>`, `Execution.<name>`,
`Steps.<name>.<property path>`. A property path is dotted names with `[0]` and `['key']`; a quoted
key into a list finds the entry of that name, which is how `FinalMetricDataList['eval:loss'].Value`
reads one metric.

    ExpressionError         a value does not exist, or two values cannot be compared
    └── NotServedExpression the expression is not implemented; the message names it
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class ExpressionError(ValueError):
    """The definition cannot be evaluated: what, expected, got."""


class NotServedExpression(ExpressionError):
    """An expression or a condition this interpreter does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"not implemented: {name} (served: Get, Std:Join and the conditions "
            f"{', '.join(CONDITIONS)})"
        )


@dataclass(frozen=True)
class Scope:
    """The values that expressions may read."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


CONDITIONS = (
    "Equals",
    "GreaterThan",
    "GreaterThanOrEqualTo",
    "In",
    "LessThan",
    "LessThanOrEqualTo",
    "Not",
    "Or",
)
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
# Members that name the entries of AWS's lists of structures
_NAME_KEYS = (
    "MetricName",
    "ChannelName",
    "OutputName",
    "Name",
)
_PATH_PART = re.compile(
    r"\.?(?P<name>[A-Za-z0-9_-]+)|\[(?P<index>\d+)\]|\[(?P<quote>['\"])(?P<key>.+?)(?P=quote)\]"
)


def resolve(value: Any, scope: Scope) -> Any:
    """Return the value with every expression replaced by its result; types are kept.

    Raises:
        ExpressionError: an expression names something that is not there or is not implemented.
    """
    if isinstance(value, Mapping):
        expression = _expression_name(value)
        if expression is None:
            return {key: resolve(item, scope) for key, item in value.items()}
        if expression == "Get":
            return get(value["Get"], scope)
        if expression == "Std:Join":
            return _join(value["Std:Join"], scope)
        raise NotServedExpression(expression)
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return value


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Return whether one condition is true.

    Raises:
        ExpressionError: its type is unknown, or its sides cannot be compared.
    """
    kind = condition.get("Type")
    if kind == "Not":
        return not holds(condition["Expression"], scope)
    if kind == "Or":
        outcomes = [
            holds(item, scope) for item in condition["Conditions"]
        ]  # every condition is evaluated, so that every error is found
        return any(outcomes)
    if kind == "In":
        return resolve(condition["QueryValue"], scope) in resolve(condition["Values"], scope)
    if kind not in _COMPARISONS:
        raise NotServedExpression(f"condition type {kind!r}")
    left, right = resolve(condition["LeftValue"], scope), resolve(condition["RightValue"], scope)
    if isinstance(left, bool) != isinstance(right, bool) or isinstance(left, str) != isinstance(
        right, str
    ):
        raise ExpressionError(
            f"condition {kind}: expected two numbers, two strings or two booleans, got "
            f"{left!r} and {right!r}"
        )
    return bool(_COMPARISONS[kind](left, right))


def all_hold(conditions: Sequence[Mapping[str, Any]], scope: Scope) -> bool:
    """Return whether all conditions of a Condition step are true. Every one is evaluated, so that
    every error is found.
    """
    outcomes = [holds(condition, scope) for condition in conditions]
    return all(outcomes)


def get(path: str, scope: Scope) -> Any:
    """Return the value at a `Get` path.

    Raises:
        ExpressionError: a name on the path does not exist.
    """
    root, _, rest = path.partition(".")
    if root == "Parameters":
        return _named(scope.parameters, rest, path)
    if root == "Execution":
        return _named(scope.execution, rest, path)
    if root != "Steps":
        raise NotServedExpression(f"Get {path!r}")
    name, parts = rest, ""
    if match := re.match(r"[A-Za-z0-9-]+", rest):
        name, parts = match[0], rest[match.end() :]
    return _walk(_named(scope.steps, name, path), parts, path)


def references(value: Any) -> set[str]:
    """Return the steps whose properties a value reads; its own step depends on them."""
    if isinstance(value, Mapping):
        path = value.get("Get")
        if len(value) == 1 and isinstance(path, str):
            return {match[1]} if (match := re.match(r"Steps\.([A-Za-z0-9-]+)", path)) else set()
        return set().union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def text(value: Any) -> str:
    """Return a value as text for a joined string: booleans as in JSON, numbers as in Python."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _expression_name(value: Mapping[str, Any]) -> str | None:
    if len(value) != 1:
        return None
    (key,) = value
    return key if key == "Get" or key.startswith("Std:") else None


def _join(join: Mapping[str, Any], scope: Scope) -> str:
    return str(join.get("On", "")).join(text(resolve(item, scope)) for item in join["Values"])


def _named(names: Mapping[str, Any], name: str, path: str) -> Any:
    if name not in names:
        raise ExpressionError(
            f"Get {path!r}: {name!r} does not exist; expected one of "
            f"{', '.join(sorted(names)) or 'nothing'}"
        )
    return names[name]


def _walk(value: Any, parts: str, path: str) -> Any:
    position = 0
    while position < len(parts):
        match = _PATH_PART.match(parts, position)
        if match is None:
            raise ExpressionError(
                f"Get {path!r}: cannot read the property path at {parts[position:]!r}"
            )
        value = _entry(value, match, path)
        position = match.end()
    return value


def _entry(value: Any, part: re.Match[str], path: str) -> Any:
    if part["index"] is not None:
        index = int(part["index"])
        if not isinstance(value, list) or index >= len(value):
            raise ExpressionError(f"Get {path!r}: entry [{index}] does not exist")
        return value[index]
    name = part["name"] or part["key"]
    if isinstance(value, list):
        value = {entry[key]: entry for entry in value for key in _NAME_KEYS if key in entry}
    if not isinstance(value, Mapping):
        raise ExpressionError(
            f"Get {path!r}: {name!r} is asked of {value!r}, which has no properties"
        )
    return _named(value, name, path)
