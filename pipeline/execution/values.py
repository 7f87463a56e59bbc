"""Check the values of one start: those a person gives, and those of an earlier execution.

    start = values.checked({"Seed": "18"}, definition, inherited={"MaxEvalLoss": "1.0E20"})
    start.typed         # {"MaxEvalLoss": 1e20, "Seed": 18}

A given value must be within the range in `pipeline.configuration.parameters`. An inherited value
has run before, so it need only be one that the deployed definition and the steps take. Each value
that the execution would have, a default too, must be within the environment's ceilings.

SageMaker writes numbers in its own way (2.0E-4), so they are parsed and not compared as text.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.configuration import combinations, step_limits
from pipeline.configuration.parameters import BY_NAME, NUMBER, Value, chosen
from pipeline.configuration.sections import limits
from pipeline.errors import UsageError, did_you_mean, listed

Fault = tuple[str, str]
Declared = Mapping[str, Mapping[str, Any]]
_MOST_DIGITS = 20  # of a whole number; no 64-bit integer has more


@dataclass(frozen=True)
class Checked:
    """What an execution is started with, and the inherited texts that the definition lacks."""

    typed: Mapping[str, Value]
    left_out: Mapping[str, str]


def checked(
    settings: Mapping[str, str],
    definition: Mapping[str, Any],
    inherited: Mapping[str, str] | None = None,
    *,
    ceilings: limits.Limits = limits.DEFAULTS,
) -> Checked:
    """Return the typed values of `settings` on top of those of `inherited`.

    Raises:
        UsageError: with every fault.
    """
    declared: Declared = {parameter["Name"]: parameter for parameter in definition["Parameters"]}
    unchanged = {name: text for name, text in (inherited or {}).items() if name not in settings}
    typed, faults = _given(settings, declared)
    for name in unchanged.keys() & declared.keys():
        value, fault = _inherited(declared[name], unchanged[name])
        typed[name] = value
        faults += [(name, fault)] if fault else []
    defaults = {
        name: each.get("DefaultValue") for name, each in declared.items() if name not in settings
    }
    faults += combinations.faults(defaults | typed, _cluster(definition))
    known = {name for name, _ in faults}
    beyond = limits.faults(defaults | typed, ceilings)
    # An inherited value is known already if it is beyond the ceilings that were deployed with it
    known |= {name for name in unchanged.keys() & declared.keys() if "EnumValues" in declared[name]}
    faults += [(name, text) for name, text in beyond if name not in known]
    if faults:
        way_out = "\n  do  give another value for each with --set Name=…" if unchanged else ""
        raise UsageError(listed("the parameters have", tuple(faults)) + way_out)
    return Checked(
        typed, {name: unchanged[name] for name in sorted(unchanged.keys() - declared.keys())}
    )


def _given(settings: Mapping[str, str], declared: Declared) -> tuple[dict[str, Value], list[Fault]]:
    typed, faults = chosen(
        {name: text for name, text in settings.items() if name in declared and name in BY_NAME}
    )
    faults += [
        (name, _unknown(name, declared))
        for name in settings
        if name not in declared or name not in BY_NAME
    ]
    faults += [
        (name, fault) for name, value in typed.items() for fault in _mismatch(declared[name], value)
    ]
    return typed, faults


def _unknown(name: str, declared: Declared) -> str:
    if name in BY_NAME:
        return (
            "is not a parameter of the deployed definition, which is older than this checkout; "
            "run upsert"
        )
    if name in declared:
        return (
            "is a parameter of the deployed definition, but not of this checkout; "
            "check out the commit it came from"
        )
    return f"is not a parameter{did_you_mean(name, declared)}"


def _mismatch(declared: Mapping[str, Any], value: Value) -> list[str]:
    """How the deployed definition differs from this checkout's table for a given value."""
    name, choices = declared["Name"], declared.get("EnumValues")
    allowed = " ".join(map(str, choices or ()))
    faults = []
    if declared["Type"] != BY_NAME[name].type:
        faults.append(
            f"is {declared['Type']} in the deployed definition and {BY_NAME[name].type} here; "
            "run upsert"
        )
    if choices and value not in choices:
        faults.append(f"expected one of {allowed} (the deployed definition), got {value!r}")
    return faults


def _inherited(declared: Mapping[str, Any], text: str) -> tuple[Value, str | None]:
    """The typed value that an earlier execution ran with, and why the deployed definition or a step
    would refuse it, or None."""
    name, choices = declared["Name"], declared.get("EnumValues")
    value = _read(declared["Type"], text)
    if value is None:
        return (
            text,
            (
                f"is {declared['Type']} in the deployed definition, "
                f"and the earlier execution had {text[:100]!r}"
            ),
        )
    if choices:
        few = " ".join(map(str, choices))
        return (
            value,
            None
            if value in choices
            else f"expected one of {few} (the deployed definition), got {text[:100]!r}",
        )
    if step_limits.takes(name, value):
        return value, None
    return (
        value,
        f"would be refused by its step: expected {BY_NAME[name].range}, got {text[:100]!r}",
    )


def _read(type_: str, text: str) -> Value | None:
    """The value of a text that SageMaker wrote: 50 and 50.0 are one integer, 2.0E-4 is 0.0002."""
    if type_ not in ("Integer", "Float"):
        return text
    if not NUMBER.fullmatch(text):
        return None
    if type_ == "Float":
        return number if math.isfinite(number := float(text)) else None
    try:
        exact = Decimal(text)  # a float has 53 bits of precision, a Delta version 63 bits
    except InvalidOperation:  # an exponent with more digits than Decimal takes
        return None
    return (
        int(exact)
        if exact.adjusted() < _MOST_DIGITS and exact == exact.to_integral_value()
        else None
    )


def _cluster(definition: Mapping[str, Any]) -> combinations.Cluster:
    """How the deployed Train shards the base model, and over how many hosts."""
    for step in definition.get("Steps", []):
        if step["Type"] == "Training":
            arguments = step["Arguments"]
            sharding = arguments.get("HyperParameters", {}).get("sharding")
            hosts = arguments.get("ResourceConfig", {}).get("InstanceCount")
            return combinations.Cluster(str(sharding), hosts if isinstance(hosts, int) else 1)
    return combinations.Cluster()
