"""The bounds of Prepare: what is scrubbed, each example's quality, each run's contract, the split.

    numbers(Quality, "stop_words=0.02,symbols=0.1")     # other fields keep their defaults

conf/<env>.yaml states them under `prepare` (`pipeline/configuration/sections/screening.py` has the
same names and defaults; a test compares both). Standard library only, as the arguments need them.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

from steps.governance.argument_types import ArgumentType

KINDS = ("email", "social_security", "employer_id", "phone", "street_address", "signature")
NONE = "none"
_NUMBER = r"[0-9]{1,7}(?:\.[0-9]{1,9})?"
_SOURCE = r"[^\s,.*]+\.(?:\*|[^\s,.*]+)\.(?:\*|[^\s,.*]+)|\*"


@dataclass(frozen=True)
class Quality:
    """Bounds of one example; shares are 0 … 1, lengths in characters."""

    stop_words: float = 0.02  # least share of the words "the", "and", "of", "to": English
    shortest_word: float = 3.0  # least mean length of a word
    longest_word: float = 12.0  # most
    symbols: float = 0.1  # most share of symbols among the characters
    repeated_sentences: float = 0.5  # most share of sentences that were there before
    distinct_words: float = 0.2  # least share of distinct words at the body's beginning
    longest_heading: float = 2_000.0
    injections: float = 1.0  # 0: known strings of prompt injection are not looked for


@dataclass(frozen=True)
class Bounds:
    """Bounds of a whole run; shares are 0 … 1, lengths mean characters.

    The last five compare with the last run that the curated table has.
    """

    least_rows: float = 2.0
    most_rejected: float = 0.98  # share of the filings, and of the risk factors without repeats
    most_invalid: float = 0.5  # share of the filings that are not valid records or not UTF-8
    most_repeats: float = 0.95  # share of the examples that repeat another
    most_injections: float = 0.005  # share of the examples
    most_scrubbed: float = 0.2  # items of personal data an example
    least_eval: float = 0.001  # share of the examples
    most_eval: float = 0.9
    most_overlap: float = 0.5  # share of eval's n-grams that train has too
    shortest_heading: float = 10.0
    longest_heading: float = 1_000.0
    shortest_body: float = 200.0
    longest_body: float = 20_000.0
    first_year: float = 1993.0  # EDGAR's first
    last_year: float = 2100.0
    least_growth: float = 0.5  # rows, as a multiple of the last run's
    most_growth: float = 3.0
    share_change: float = 0.05  # of the shares of rejected, invalid, repeated, without SIC code
    length_change: float = 0.1  # of the mean lengths, relative
    years_distance: float = 0.3  # total variation between the shares of years
    words_distance: float = 0.1  # total variation between the shares of 64 groups of words


BY_COMPANY, BY_FAMILY, BY_YEAR = "company", "family", "year"


@dataclass(frozen=True)
class SplitRule:
    """What is held out as a whole: companies, families, or the years from `from_year` on."""

    by: str = BY_COMPANY
    from_year: int = 0


Numbers = TypeVar("Numbers", Quality, Bounds)


def numbers(kind: Callable[..., Numbers], text: str) -> Numbers:
    """Return the bounds that `name=number,…` states; none keeps every default.

    Raises:
        ValueError: an unknown name, a name twice, or not a number.
    """
    names = {field.name for field in fields(kind())}
    found: dict[str, float] = {}
    for word in text.split(",") if text != NONE else ():
        name, _, number = word.partition("=")
        if name not in names or name in found or not re.fullmatch(_NUMBER, number):
            raise ValueError(word)
        found[name] = float(number)
    if not all(map(math.isfinite, found.values())):
        raise ValueError(text)
    return kind(**found)


def allowed(source: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a table `catalog.schema.name` is one of the patterns, where * is any name."""
    parts = source.split(".")
    return any(
        pattern == "*"
        or all(want in ("*", part) for want, part in zip(pattern.split("."), parts, strict=True))
        for pattern in patterns
    )


def _kind(word: str) -> str:
    if word not in KINDS:
        raise ValueError(word)
    return word


def _scrub(text: str) -> tuple[str, ...]:
    return () if text == NONE else tuple(_kind(word) for word in text.split(","))


def _sources(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    if not all(re.fullmatch(_SOURCE, word) for word in found):
        raise ValueError(text)
    return found


def _split(text: str) -> SplitRule:
    by, _, year = text.partition(":")
    if by == BY_YEAR and re.fullmatch(r"[12][0-9]{3}", year):
        return SplitRule(by, int(year))
    if text not in (BY_COMPANY, BY_FAMILY):
        raise ValueError(text)
    return SplitRule(by)


_FORM = "name=number with commas between, or none"
SCRUB = ArgumentType(_scrub, f"some of {', '.join(KINDS)} with commas between, or none")
QUALITY = ArgumentType(lambda text: numbers(Quality, text), f"quality bounds, {_FORM}")
BOUNDS = ArgumentType(lambda text: numbers(Bounds, text), f"contract bounds, {_FORM}")
SPLIT = ArgumentType(_split, f"{BY_COMPANY}, {BY_FAMILY} or {BY_YEAR}:<first year of eval>")
SOURCES = ArgumentType(_sources, "tables as catalog.schema.name, where * is any name, or *")
