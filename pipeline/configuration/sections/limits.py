"""The ceilings of an environment (`limits:` in conf/<env>.yaml), which no parameter can pass.

    limits.faults({"MaxEvalLoss": 1e300, "ModelAlias": "champion"}, Limits())
    # [("MaxEvalLoss", "expected at most 10 (limits.max_eval_loss), got 1e+300"), …]

`pipeline.run` refuses values beyond them, the deployed definition does (`pipeline.graph.limits`),
and the register worker does, with its own arguments (docs/decisions/022-limits.md).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import instances
from pipeline.configuration.parameter_rules import ALIAS
from pipeline.configuration.sections.strictness import STRICT

Fault = tuple[str, str]
_ALIAS_WORDS = "aliases of a-z, 0-9, _, neither latest nor v<number>"


def _instance_types(value: tuple[str, ...]) -> tuple[str, ...]:
    if strange := [each for each in value if each not in instances.TYPES]:
        message = f"expected instance types of pipeline/configuration/instances.py, got {strange}"
        raise ValueError(message)
    return value


def _aliases(value: tuple[str, ...]) -> tuple[str, ...]:
    if strange := [each for each in value if not re.fullmatch(ALIAS, each)]:
        message = f"expected {_ALIAS_WORDS}, got {strange}"
        raise ValueError(message)
    return value


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Limits:
    """The ceilings. An alias that is not in `aliases` is protected: only `pipeline.approve` moves
    it. So no alias can be both."""

    # 10 nats is a bit better than guessing among the base model's 131,072 tokens (11.8 nats).
    max_eval_loss: float = Field(
        default=10.0, gt=0, le=1e9, description="a number above 0, nats per target token"
    )
    instance_types: Annotated[tuple[str, ...], AfterValidator(_instance_types)] = Field(
        default=instances.TYPES, min_length=1, description="a list of SageMaker instance types"
    )
    max_runtime_seconds: int = Field(
        default=432_000, ge=60, le=432_000, description="whole seconds, 60 … 432000 (5 days)"
    )
    aliases: Annotated[tuple[str, ...], AfterValidator(_aliases)] = Field(
        default=("challenger",), min_length=1, description=f"a list of {_ALIAS_WORDS}"
    )


DEFAULTS = Limits()


def faults(values: Mapping[str, Any], limits: Limits) -> Iterator[Fault]:
    """Yield every parameter that is beyond a ceiling. Values of a wrong type are reported
    elsewhere (`parameter_rules.fault`)."""
    loss = values.get("MaxEvalLoss")
    # Written so that NaN is beyond it
    if isinstance(loss, int | float) and not loss <= limits.max_eval_loss:
        yield (
            "MaxEvalLoss",
            f"expected at most {limits.max_eval_loss:g} (limits.max_eval_loss), got {loss!r}",
        )
    by_approval = "; only an approval moves another alias (pipeline.approve)"
    for name, field, hint in (
        ("TrainInstanceType", "instance_types", ""),
        ("ModelAlias", "aliases", by_approval),
    ):
        value, allowed = values.get(name), getattr(limits, field)
        if isinstance(value, str) and value not in allowed:
            yield (
                name,
                f"expected one of {' '.join(allowed)} (limits.{field}), got {value!r}{hint}",
            )
