"""The section `prepare.quality`, and what `prepare.scrub` may name (steps/prepare/bounds.py).

word(config.prepare.quality)        # "stop_words=0.02,shortest_word=3.0,…"
"""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.configuration.sections.strictness import STRICT

Kind = Literal["email", "social_security", "employer_id", "phone", "street_address", "signature"]
ALL = ("email", "social_security", "employer_id", "phone", "street_address", "signature")


def _once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        message = f"expected each kind once, got {list(value)}"
        raise ValueError(message)
    return value


Kinds = Annotated[tuple[Kind, ...], AfterValidator(_once)]
Share = Annotated[float, Field(ge=0, le=1, description="a share, 0 … 1")]
Number = Annotated[float, Field(ge=0, le=1_000_000, description="a number, 0 … 1000000")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Quality:
    """Bounds of one example; an example beyond one is rejected with the rule's name."""

    stop_words: Share = 0.02
    shortest_word: Number = 3.0
    longest_word: Number = 12.0
    symbols: Share = 0.1
    repeated_sentences: Share = 0.5
    distinct_words: Share = 0.2
    longest_heading: Number = 2_000.0
    injections: Share = 1.0  # 0: known strings of prompt injection are not looked for


def word(section: Any) -> str:
    """Return the bounds as the step takes them: `name=number,…`."""
    return ",".join(
        f"{field.name}={round(getattr(section, field.name), 9):.9f}".rstrip("0").rstrip(".")
        for field in fields(section)
    )
