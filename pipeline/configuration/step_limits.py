"""The values of each parameter that the steps take; `parameters.py` may allow a person fewer.

    step_limits.takes("MaxEvalLoss", 1e20)      # True: no step refuses it, although `--set` does

`pipeline.run --from` repeats an execution that ran. A value that it only inherits must be within
these limits and the deployed definition, not within the narrower range for people.
tests/test_contract_values.py compares each rule with the step that has it.
"""

import math
import re
from collections.abc import Callable, Mapping

Value = str | int | float

_UC_NAME = r"[a-z0-9_]{1,63}(\.[a-z0-9_]{1,63}){2}"
_WRITTEN = (
    r"(?!(system|samples|hive_metastore|__databricks_internal)\.|[a-z0-9_]+\.information_schema\.)"
)
# At most 54 characters, because Prepare also writes <name>_rejected.
_CURATED_NAME = rf"{_WRITTEN}([a-z0-9_]{{1,63}}\.){{2}}[a-z0-9_]{{1,54}}"
_ALIAS = r"(?!(latest|v[0-9]+)\Z)[a-z][a-z0-9_]{0,62}"


def _matching(pattern: str) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _whole(low: int, high: int, *but: int) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, int) and low <= value <= high and value not in but


def _among(*allowed: Value) -> Callable[[Value], bool]:
    return lambda value: value in allowed


def _above_zero(high: float) -> Callable[[Value], bool]:
    return lambda value: not isinstance(value, str) and 0 < value <= high and math.isfinite(value)


# Without TrainInstanceType: SageMaker decides on it, and the definition enumerates it.
_LIMITS: Mapping[str, Callable[[Value], bool]] = {
    "RawTable": _matching(_UC_NAME),
    "RawTableVersion": _whole(-1, 2**63 - 1),
    "CuratedTable": _matching(_CURATED_NAME),
    "CuratedFrom": _matching(r"none|[a-z0-9]{12}"),
    "ModelName": _matching(_WRITTEN + _UC_NAME),
    "ModelAlias": _matching(_ALIAS),
    "Epochs": _whole(1, 20),
    "MaxSteps": _whole(-1, 10**9, 0),
    "LearningRate": _above_zero(0.1),
    "LoraRank": _among(4, 8, 16, 32, 64, 128),
    "SequenceLength": _among(256, 512, 1024, 2048, 4096, 8192),
    "Seed": _whole(0, 2**31 - 1),
    "EvalSteps": _whole(1, 1_000_000),
    "EarlyStoppingPatience": _whole(0, 100),
    "MaxEvalExamples": _whole(-1, 1_000_000, 0),
    "MaxEvalLoss": _above_zero(math.inf),
    "Fp8Mode": _among("auto", "storage", "native", "off", "nf4"),
    "Optimizer": _among("adamw", "adamw_8bit", "paged_adamw_8bit"),
    "Determinism": _among("seeded", "full"),
    "MergedExport": _among("none", "bfloat16"),
    "Compile": _among("off", "layers"),
}


def takes(name: str, value: Value) -> bool:
    """Return whether no step refuses this value. Parameters that no step checks take any value."""
    return _LIMITS[name](value) if name in _LIMITS else True
