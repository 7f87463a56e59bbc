"""The parameters that a data scientist may change for one execution, in one table.

    python -m pipeline.run --help                    # prints this table
    python -m pipeline.run --set LoraRank=32 --set MaxEvalLoss=2.2

The SageMaker parameter objects (`pipeline.definition`), the check of `--set` (`chosen`) and the
check of `parameters:` in conf/<env>.yaml are all made from `TABLE`. Images, roles, buckets and
hosts are configuration, never parameters.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.configuration import combinations, instances
from pipeline.configuration.parameter_rules import (
    ALIAS,
    CURATED_FROM,
    CURATED_NAME,
    NUMBER,
    UC_NAME,
    WRITTEN_NAME,
    Parameter,
    Type,
    Value,
    fault,
    parsed,
)
from pipeline.errors import UsageError, did_you_mean, listed

__all__ = [
    "ALIAS",
    "BY_NAME",
    "CURATED_NAME",
    "DEFAULTS",
    "NUMBER",
    "TABLE",
    "UC_NAME",
    "WRITTEN_NAME",
    "Parameter",
    "Type",
    "Value",
    "check",
    "chosen",
    "fault",
    "faults_in_defaults",
    "help_table",
    "parsed",
]


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
        at_most=2**31 - 1,  # one commit a second for 68 years, and within every reader's integer
    ),
    _uc(
        "CuratedTable",
        "edgar.curated.risk_factor_examples",
        "where Prepare writes the examples",
        CURATED_NAME,
    ),
    Parameter(
        "CuratedFrom",
        "String",
        "none",
        "an earlier execution whose examples are used again",
        pattern=CURATED_FROM,
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
        "seed of packing, dropout and initialisation",
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
        -1,
        "held-out examples that the eval loss is of; -1 = all",
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


def chosen(settings: Mapping[str, str]) -> tuple[dict[str, Value], list[tuple[str, str]]]:
    """Return the typed values of `--set` texts, and every fault: unknown name, type or range."""
    values: dict[str, Value] = {}
    faults: list[tuple[str, str]] = []
    for name, text in settings.items():
        if name not in BY_NAME:
            faults.append((name, f"is not a parameter{did_you_mean(name, BY_NAME)}"))
            continue
        value, wrong = parsed(BY_NAME[name], text)
        if wrong is not None:
            faults.append((name, wrong))
        elif value is not None:
            values[name] = value
    return values, faults


def check(settings: Mapping[str, str], defaults: Mapping[str, Any] = DEFAULTS) -> None:
    """Refuse wrong `--set` texts before anything is started.

    They are checked alone and together with the defaults of the other parameters.

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
    """Return every fault in an environment's `parameters:`, each value alone and all together."""
    unknown = [
        (name, f"unknown parameter{did_you_mean(name, BY_NAME)}")
        for name in defaults
        if name not in BY_NAME
    ]
    known = [(n, fault(BY_NAME[n], value)) for n, value in defaults.items() if n in BY_NAME]
    together = combinations.faults({**DEFAULTS, **defaults}, cluster)
    return [*unknown, *((name, text) for name, text in known if text), *together]


def help_table(defaults: Mapping[str, Any] | None = None) -> str:
    """Return the table as plain text, for `--help`. `defaults` replace those of the table."""
    rows = [
        (p.name, p.type, str((defaults or {}).get(p.name, p.default)), p.description, p.range)
        for p in TABLE
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        for row in rows
    )
    return "\n".join(f"  {line}  {row[4]}" for line, row in zip(lines, rows, strict=True))
