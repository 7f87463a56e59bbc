"""The rules for the value of one parameter: its type, its range, and how text is read.

    rank = Parameter("LoraRank", "Integer", 16, "rank of the adapter", choices=(4, 8, 16))
    parsed(rank, "12")     # (12, "expected one of 4 8 16, got 12")

`pipeline.configuration.parameters.TABLE` has the parameters themselves.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

Value = str | int | float
Type = Literal["String", "Integer", "Float"]

# One part of a Unity Catalog name, as steps/governance/names.py allows it. Unity Catalog allows
# more characters; these never need quoting.
_UC_PART = r"[a-z0-9_]{1,63}"
UC_NAME = rf"{_UC_PART}(\.{_UC_PART}){{2}}"
# Python's int() and float() also read 1_0, digits of other scripts and spaces. A person who types
# one of these meant something else.
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,400}")
# Neither `latest` nor `v<number>`: mlflow's client and Unity Catalog reserve both. `checked_alias`
# of steps/governance/names.py has the same rule; tests/test_contract.py holds the two equal.
ALIAS = r"(?!(latest|v[0-9]+)\Z)[a-z][a-z0-9_]{0,62}"
# Catalogs and schemas in which Prepare and Register cannot write. `written_name` of
# steps/governance/names.py has the same rule and its sources; tests/test_contract_values.py holds
# the two equal.
_READ_ONLY = (
    r"(system|samples|hive_metastore|__databricks_internal)\.|[a-z0-9_]+\.information_schema\."
)
WRITTEN_NAME = rf"(?!{_READ_ONLY}){UC_NAME}"
# Prepare also writes `<name>_rejected`, and a part of a name has at most 63 characters.
CURATED_NAME = rf"(?![a-z0-9_.]+\.[a-z0-9_]{{55,}}\Z){WRITTEN_NAME}"
# The last part of an execution's ARN, or this execution's own work.
CURATED_FROM = r"none|[a-z0-9]{12}"
_WRITTEN_IN_WORDS = (
    "catalog.schema.name of a-z, 0-9, _, "
    "not in system, samples, hive_metastore, __databricks_internal or information_schema"
)
_IN_WORDS = {
    UC_NAME: "catalog.schema.name of a-z, 0-9, _",
    WRITTEN_NAME: _WRITTEN_IN_WORDS,
    CURATED_NAME: (
        f"{_WRITTEN_IN_WORDS}, at most 54 characters after the last dot "
        "(Prepare also writes <name>_rejected)"
    ),
    CURATED_FROM: "none, or the id of an execution (12 of a-z, 0-9)",
    ALIAS: "a-z, then at most 62 of a-z, 0-9, _; neither latest nor v<number>",
}


@dataclass(frozen=True)
class Parameter:
    """One row of the table: a name, its type and default, and the values that are allowed."""

    name: str
    type: Type
    default: Value
    description: str
    choices: tuple[Value, ...] = ()
    pattern: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    also: Value | None = None  # one value outside the bounds that has a meaning: -1 = no cap

    @property
    def range(self) -> str:
        """The allowed values, in the words of a message or a table."""
        if self.choices:
            shown = self.choices
            if len(shown) > 8:
                shown = (*shown[:2], "…", shown[-1])
            return f"one of {' '.join(str(choice) for choice in shown)}"
        if self.pattern:
            return _IN_WORDS[self.pattern]
        bounds = f"≥ {self.at_least:g} and ≤ {self.at_most:.10g}"
        return bounds if self.also is None else f"{self.also} or {bounds}"

    def admits(self, value: Value) -> bool:
        """Return whether the value, already of the right type, is within the range."""
        if self.choices:
            return value in self.choices
        if isinstance(value, str):
            return bool(value) and (
                self.pattern is None or re.fullmatch(self.pattern, value) is not None
            )
        return value == self.also or self._within_bounds(value)

    def _within_bounds(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


def parsed(parameter: Parameter, text: str) -> tuple[Value | None, str | None]:
    """Return the typed value of a text from the command line, and the fault in it or None.

    The value is None if the text is not of the parameter's type.
    """
    value = _typed(parameter.type, text)
    if value is None:
        return None, f"expected {_article(parameter.type)} ({parameter.range}), got {text[:100]!r}"
    return value, fault(parameter, value)


def fault(parameter: Parameter, value: Any) -> str | None:
    """Return what is wrong with a typed value, or None."""
    expected = {"String": str, "Integer": int, "Float": int | float}[parameter.type]
    if isinstance(value, bool) or not isinstance(value, expected):
        return f"expected {_article(parameter.type)} ({parameter.range}), got {value!r}"
    return None if parameter.admits(value) else f"expected {parameter.range}, got {value!r}"


def _typed(type_: Type, text: str) -> Value | None:
    if type_ == "String":
        return text
    if type_ == "Integer":
        return int(text) if _WHOLE_NUMBER.fullmatch(text) else None
    return float(text) if NUMBER.fullmatch(text) else None


def _article(type_: Type) -> str:
    return {"String": "a string", "Integer": "a whole number", "Float": "a number"}[type_]
