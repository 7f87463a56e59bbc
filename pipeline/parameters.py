"""What a data scientist may change for one execution: one table, from which everything else is read.

    python -m pipeline.run --help                    # prints this table
    python -m pipeline.run --set LoraRank=32 --set MaxEvalLoss=2.2

The SageMaker parameter objects (`pipeline.definition`), the check of `--set` (`chosen`) and the check of `parameters:`
in conf/<env>.yaml all come from `TABLE`. Images, roles, buckets and hosts are configuration, never parameters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.configuration import combinations, instances
from pipeline.errors import UsageError, did_you_mean, listed

Value = str | int | float
Type = Literal["String", "Integer", "Float"]

# One part of a Unity Catalog name as steps/governance/names.py allows it: narrower than UC, so that none needs quoting.
_UC_PART = r"[a-z0-9_]{1,63}"
UC_NAME = rf"{_UC_PART}(\.{_UC_PART}){{2}}"
# Python's int() and float() also take 1_0, other scripts' digits and spaces; a person who types one meant something else.
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
# Neither `latest` nor `v<number>`: mlflow's client and Unity Catalog reserve both. The same rule as `checked_alias` of
# steps/governance/names.py; tests/test_contract.py holds both equal.
ALIAS = r"(?!(latest|v[0-9]+)\Z)[a-z][a-z0-9_]{0,62}"
# Where nothing of ours can be written. The same rule as `written_name` of steps/governance/names.py, which has the
# sources; tests/test_contract_values.py holds both equal.
_NOT_WRITTEN = (
    r"(system|samples|hive_metastore|__databricks_internal)\.|[a-z0-9_]+\.information_schema\."
)
WRITTEN_NAME = rf"(?!{_NOT_WRITTEN}){UC_NAME}"
# Prepare also writes `<name>_rejected`, and a part of a name has at most 63 characters.
CURATED_NAME = rf"(?![a-z0-9_.]+\.[a-z0-9_]{{55,}}\Z){WRITTEN_NAME}"
_WRITTEN_IN_WORDS = (
    "catalog.schema.name of a-z, 0-9, _, "
    "not in system, samples, hive_metastore, __databricks_internal or information_schema"
)
_IN_WORDS = {
    UC_NAME: "catalog.schema.name of a-z, 0-9, _",
    WRITTEN_NAME: _WRITTEN_IN_WORDS,
    CURATED_NAME: f"{_WRITTEN_IN_WORDS}, at most 54 characters after the last dot (Prepare also writes <name>_rejected)",
    ALIAS: "a-z, then at most 62 of a-z, 0-9, _; neither latest nor v<number>",
}


@dataclass(frozen=True)
class Parameter:
    """One row: a name, its type and default, and the values that make sense."""

    name: str
    type: Type
    default: Value
    description: str
    choices: tuple[Value, ...] = ()
    pattern: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    also: Value | None = None  # one value outside the bounds that has a meaning of its own

    @property
    def range(self) -> str:
        """The allowed values in the words of a message or a table."""
        if self.choices:
            few = (
                self.choices
                if len(self.choices) <= 8
                else (*self.choices[:2], "…", self.choices[-1])
            )
            return f"one of {' '.join(str(choice) for choice in few)}"
        if self.pattern:
            return _IN_WORDS[self.pattern]
        bounds = f"≥ {self.at_least:g} and ≤ {self.at_most:.10g}"
        return bounds if self.also is None else f"{self.also} or {bounds}"

    def admits(self, value: Value) -> bool:
        """Whether the value, already of the right type, is within the range."""
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


def _uc(name: str, default: str, description: str, pattern: str = WRITTEN_NAME) -> Parameter:
    return Parameter(name, "String", default, description, pattern=pattern)


def _word(name: str, description: str, *choices: str) -> Parameter:
    """One of a few words; the first is the default."""
    return Parameter(name, "String", choices[0], description, choices=choices)


TABLE: tuple[Parameter, ...] = (
    _uc("RawTable", "edgar.raw.filings", "the governed table to learn from", UC_NAME),
    Parameter(
        "RawTableVersion",
        "Integer",
        -1,
        "its Delta version; -1 = latest, resolved and recorded",
        at_least=-1,
        at_most=2**31 - 1,  # a commit a second for 68 years; every reader of an Integer carries it
    ),
    _uc(
        "CuratedTable",
        "edgar.curated.risk_factor_examples",
        "where Prepare writes the examples",
        CURATED_NAME,
    ),
    _uc("ModelName", "edgar.models.risk_analyst", "the registered model that gets a new version"),
    Parameter(
        "ModelAlias", "String", "challenger", "the alias the new version receives", pattern=ALIAS
    ),
    Parameter("Epochs", "Integer", 1, "passes over the training examples", at_least=1, at_most=20),
    Parameter(
        "MaxSteps",
        "Integer",
        -1,
        "optimizer steps at most; -1 = no cap",
        at_least=1,
        at_most=10**9,
        also=-1,
    ),
    Parameter("LearningRate", "Float", 0.0002, "peak learning rate", at_least=1e-12, at_most=0.1),
    Parameter("LoraRank", "Integer", 16, "rank of the adapter", choices=(4, 8, 16, 32, 64, 128)),
    Parameter(
        "SequenceLength",
        "Integer",
        2048,
        "tokens per packed sequence",
        choices=(256, 512, 1024, 2048, 4096, 8192),
    ),
    Parameter(
        "Seed",
        "Integer",
        17,
        "seed of split, packing and initialisation",
        at_least=0,
        at_most=2**31 - 1,
    ),
    Parameter(
        "EvalSteps",
        "Integer",
        50,
        "steps between evaluations (and checkpoints)",
        at_least=1,
        at_most=1_000_000,
    ),
    Parameter(
        "EarlyStoppingPatience",
        "Integer",
        0,
        "evaluations without a lower loss, then end; 0 = off",
        at_least=0,
        at_most=100,
    ),
    Parameter(
        "MaxEvalExamples",
        "Integer",
        1000,
        "held-out examples of an evaluation at most; -1 = all",
        at_least=1,
        at_most=1_000_000,
        also=-1,
    ),
    Parameter(
        "MaxEvalLoss",
        "Float",
        2.5,
        "Gate's bound, nats per target token",
        at_least=1e-6,
        at_most=1e9,
    ),
    Parameter(
        "TrainInstanceType", "String", "ml.g5.16xlarge", "where Train runs", choices=instances.TYPES
    ),
    _word("Fp8Mode", "FP8 of the frozen base weights", "auto", "storage", "native", "off", "nf4"),
    _word(
        "Optimizer", "AdamW, with 32-bit or 8-bit state", "adamw", "adamw_8bit", "paged_adamw_8bit"
    ),
    _word("Determinism", "full also forbids kernels that vary", "seeded", "full"),
    _word("MergedExport", "also write the merged model", "none", "bfloat16"),
    _word("Compile", "torch.compile of decoder layers", "off", "layers"),
)

BY_NAME: Mapping[str, Parameter] = {parameter.name: parameter for parameter in TABLE}
DEFAULTS: Mapping[str, Value] = {parameter.name: parameter.default for parameter in TABLE}


def parsed(parameter: Parameter, text: str) -> tuple[Value | None, str | None]:
    """The typed value that a command line's text means, or the fault in it."""
    value = _typed(parameter.type, text)
    if value is None:
        return None, f"expected {_article(parameter.type)} ({parameter.range}), got {text[:100]!r}"
    return value, fault(parameter, value)


def _typed(type_: Type, text: str) -> Value | None:
    if type_ == "String":
        return text
    if type_ == "Integer":
        return int(text) if _WHOLE.fullmatch(text) else None
    return float(text) if NUMBER.fullmatch(text) else None


def fault(parameter: Parameter, value: Any) -> str | None:
    """What is wrong with a typed value, or None."""
    expected = {"String": str, "Integer": int, "Float": int | float}[parameter.type]
    if isinstance(value, bool) or not isinstance(value, expected):
        return f"expected {_article(parameter.type)} ({parameter.range}), got {value!r}"
    return None if parameter.admits(value) else f"expected {parameter.range}, got {value!r}"


def chosen(settings: Mapping[str, str]) -> tuple[dict[str, Value], list[tuple[str, str]]]:
    """The typed values of `--set` texts, and every fault in them (unknown name, type, range)."""
    values: dict[str, Value] = {}
    faults: list[tuple[str, str]] = []
    for name, text in settings.items():
        if name not in BY_NAME:
            faults.append((name, f"is no parameter{did_you_mean(name, BY_NAME)}"))
            continue
        value, wrong = parsed(BY_NAME[name], text)
        if wrong is not None:
            faults.append((name, wrong))
        elif value is not None:
            values[name] = value
    return values, faults


def check(settings: Mapping[str, str], defaults: Mapping[str, Any] = DEFAULTS) -> None:
    """Refuse wrong `--set` texts, alone and together with the defaults of the others, before anything is started.

    Raises:
        UsageError: with every fault.
    """
    values, faults = chosen(settings)
    unchanged = {
        name: value for name, value in {**DEFAULTS, **defaults}.items() if name not in settings
    }
    faults += combinations.faults(unchanged | values)
    if faults:
        raise UsageError(listed("the parameters have", tuple(faults)))


def faults_in_defaults(
    defaults: Mapping[str, Any], cluster: combinations.Cluster = combinations.ONE_HOST
) -> list[tuple[str, str]]:
    """Every fault in an environment's own defaults (`parameters:` in its file), each alone and all together."""
    unknown = [
        (n, f"unknown parameter{did_you_mean(n, BY_NAME)}") for n in defaults if n not in BY_NAME
    ]
    known = [(n, fault(BY_NAME[n], value)) for n, value in defaults.items() if n in BY_NAME]
    together = combinations.faults({**DEFAULTS, **defaults}, cluster)
    return [*unknown, *((name, text) for name, text in known if text), *together]


def help_table(defaults: Mapping[str, Any] | None = None) -> str:
    """The table as plain text, for `--help` and the README."""
    rows = [
        (p.name, p.type, str((defaults or {}).get(p.name, p.default)), p.description, p.range)
        for p in TABLE
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {type_:<{widths[1]}}  {default:<{widths[2]}}  {text:<{widths[3]}}  {range_}"
        for name, type_, default, text, range_ in rows
    )


def _article(type_: Type) -> str:
    return {"String": "a string", "Integer": "a whole number", "Float": "a number"}[type_]
