"""The sections `prepare.quality` and `prepare.contract`, with the names of steps/prepare/bounds.py.

word(config.prepare.quality)        # "stop_words=0.02,shortest_word=3.0,…"
"""

import re
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from pipeline.configuration.sections.strictness import STRICT

Kind = Literal["email", "social_security", "employer_id", "phone", "street_address", "signature"]
_SOURCE = r"[^\s,.*]+\.(?:\*|[^\s,.*]+)\.(?:\*|[^\s,.*]+)|\*"
ALL: tuple[Kind, ...] = get_args(Kind)


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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Contract:
    """Bounds of a whole run; nothing is committed beyond one (docs/decisions/033-contract.md)."""

    least_rows: Number = 2.0
    most_rejected: Share = 0.98
    most_invalid: Share = 0.5
    most_repeats: Share = 0.95
    most_injections: Share = 0.005
    most_scrubbed: Number = 0.2
    least_eval: Share = 0.001
    most_eval: Share = 0.9
    most_overlap: Share = 0.5
    shortest_heading: Number = 10.0
    longest_heading: Number = 1_000.0
    shortest_body: Number = 200.0
    longest_body: Number = 20_000.0
    first_year: Number = 1993.0
    last_year: Number = 2100.0
    least_growth: Number = 0.5
    most_growth: Number = 3.0
    share_change: Share = 0.05
    length_change: Number = 0.1
    years_distance: Share = 0.3
    words_distance: Share = 0.1


def _sources(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or (strange := [one for one in value if not re.fullmatch(_SOURCE, one)]):
        got = strange if value else "none"
        message = f"expected catalog.schema.name, where * is any name, or *; got {got}"
        raise ValueError(message)
    return value


Sources = Annotated[tuple[str, ...], AfterValidator(_sources)]


def word(section: Any) -> str:
    """Return the bounds as the step takes them: `name=number,…`."""
    return ",".join(
        f"{field.name}={round(getattr(section, field.name), 9):.9f}".rstrip("0").rstrip(".")
        for field in fields(section)
    )
