"""A parsed pipeline definition: parameters with their types, steps with their dependencies.

    definition = parse(text)
    values = definition.values({"Epochs": "3"})
    definition.steps["Train"].requires          # {"Prepare"}

A step inside a Condition's branch requires the Condition and that outcome. A step that the
interpreter cannot run is refused here, when the pipeline is created, rather than in the middle of
an execution.

    DefinitionError(ValueError)     the definition or a parameter value is wrong
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.local.aws.pipelines.expressions import references

VERSION = "2020-12-01"
STEP_TYPES = ("Callback", "Condition", "EMRServerless", "Fail", "Training")
_STEP_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,63}")
_PARAMETER_TYPES = ("String", "Integer", "Float", "Boolean")


class DefinitionError(ValueError):
    """A definition or a parameter value that cannot be used."""


@dataclass(frozen=True)
class Parameter:
    """One pipeline parameter: its type, its default if it has one, and the values it may take."""

    name: str
    type: str
    default: Any = None
    enumeration: tuple[Any, ...] = ()

    def read(self, value: str) -> Any:
        """The typed value of what a caller sent as text.

        Raises:
            DefinitionError: it is not of this type, or not one of the enumerated values.
        """
        typed = typed_value(value, self.type, f"pipeline parameter {self.name}")
        if self.enumeration and typed not in self.enumeration:
            allowed = ", ".join(map(str, self.enumeration))
            raise DefinitionError(
                f"pipeline parameter {self.name}: expected one of {allowed}, got {value!r}"
            )
        return typed


@dataclass(frozen=True)
class Step:
    """One step of the graph."""

    name: str
    type: str
    document: Mapping[str, Any]
    requires: frozenset[str]
    branch: tuple[str, bool] | None = (
        None  # the Condition step that contains it, and the outcome that runs it
    )

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The step's arguments with their expressions unresolved."""
        found: Mapping[str, Any] = self.document.get("Arguments") or {}
        return found


@dataclass(frozen=True)
class Definition:
    """The whole graph."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step] = field(default_factory=dict)

    def values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the value of every parameter of one execution: the given one, else the default.

        Raises:
            DefinitionError: a name is unknown, a value is of the wrong type, or one without default
                is missing.
        """
        if unknown := sorted(given.keys() - self.parameters.keys()):
            known = ", ".join(self.parameters) or "none"
            raise DefinitionError(
                f"unknown pipeline parameters {', '.join(unknown)}; the pipeline has {known}"
            )
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = parameter.read(given[name])
            elif parameter.default is None:
                raise DefinitionError(
                    f"pipeline parameter {name} has no default: a value is required"
                )
            else:
                values[name] = parameter.default
        return values


def typed_value(value: str, kind: str, what: str) -> Any:
    """Text as String, Integer, Float or Boolean.

    Raises:
        DefinitionError: the text is not of that type.
    """
    readers: dict[str, Any] = {"String": str, "Integer": int, "Float": float, "Boolean": _boolean}
    try:
        return readers[kind](value)
    except ValueError:
        raise DefinitionError(f"{what}: expected {kind}, got {value!r}") from None


def parse(text: str) -> Definition:
    """Read a definition.

    Raises:
        DefinitionError: it is not JSON of the known version, or holds a step that cannot be run
            here.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DefinitionError(f"the pipeline definition is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError(f"pipeline definition: expected an object with Version {VERSION}")
    steps: dict[str, Step] = {}
    for step in _steps(document.get("Steps") or [], None):
        if step.name in steps:
            raise DefinitionError(f"pipeline definition: two steps are called {step.name}")
        steps[step.name] = step
    if not steps:
        raise DefinitionError("pipeline definition: it has no steps")
    _check_graph(steps)
    return Definition(
        {item["Name"]: _parameter(item) for item in document.get("Parameters") or []}, steps
    )


def _parameter(item: Mapping[str, Any]) -> Parameter:
    name, kind = item["Name"], item.get("Type")
    if kind not in _PARAMETER_TYPES:
        raise DefinitionError(
            f"pipeline parameter {name}: expected a type of {', '.join(_PARAMETER_TYPES)}, "
            f"got {kind!r}"
        )
    return Parameter(name, kind, item.get("DefaultValue"), tuple(item.get("EnumValues") or ()))


def _steps(documents: list[Any], branch: tuple[str, bool] | None) -> Iterator[Step]:
    for document in documents:
        name, kind = document.get("Name", ""), document.get("Type")
        if not _STEP_NAME.fullmatch(name):
            raise DefinitionError(f"pipeline definition: {name!r} is not a step name")
        if kind not in STEP_TYPES:
            raise DefinitionError(
                f"step {name}: not implemented: step type {kind!r} (served: "
                f"{', '.join(STEP_TYPES)})"
            )
        arguments = document.get("Arguments") or {}
        own = {
            key: value for key, value in arguments.items() if key not in ("IfSteps", "ElseSteps")
        }
        requires = (
            _depends_on(name, document) | references(own) | ({branch[0]} if branch else set())
        )
        yield Step(name, kind, document, frozenset(requires), branch)
        if kind == "Condition":
            yield from _steps(arguments.get("IfSteps") or [], (name, True))
            yield from _steps(arguments.get("ElseSteps") or [], (name, False))


def _depends_on(name: str, document: Mapping[str, Any]) -> set[str]:
    entries = document.get("DependsOn") or []
    if strange := [entry for entry in entries if not isinstance(entry, str)]:
        raise DefinitionError(
            f"step {name}: not implemented: DependsOn {strange[0]!r} (served: names of steps)"
        )
    return set(entries)


def _check_graph(steps: Mapping[str, Step]) -> None:
    for step in steps.values():
        if missing := step.requires - steps.keys():
            raise DefinitionError(
                f"step {step.name} depends on {', '.join(sorted(missing))}, which does not exist"
            )
    placed: set[str] = set()
    while ready := [
        step.name for step in steps.values() if step.name not in placed and step.requires <= placed
    ]:
        placed.update(ready)
    if circle := sorted(steps.keys() - placed):
        raise DefinitionError(f"the steps {', '.join(circle)} wait for each other")


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(value)
    return value.lower() == "true"
