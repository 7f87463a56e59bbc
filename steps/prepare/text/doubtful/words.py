"""Words that are in headings or in accounts, and the words that two texts have in common.

    lines.with_columns(stemmed(lines, ("unit", "below"))).with_columns(both=shared("unit", "below"))

The texts are columns of a frame. Patterns are for texts in small letters.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

MODAL: Final = r"(?-u:\b)(?:may|might|could|can|cannot|would|will)(?-u:\b)"
PRONOUN: Final = r"(?-u:\b)(?:these|those|this|such|they|it|its|them)(?-u:\b)"
ALSO: Final = r"(?-u:\b)(?:also|further|addition|additional|additionally)(?-u:\b)"
PERFECT: Final = r"(?-u:\b)(?:have|has|had|been)(?-u:\b)"
OURS: Final = r"(?-u:\b)(?:we|our|us)(?-u:\b)"
HARM: Final = r"advers|harm|negativ|impair|damage|decline|suffer"
_STEM = r"(?-u:\b)[a-z]{5,6}"
_SEARCHED = 1_500  # characters of a text
_OPENING, _ENDING = 40, 120  # characters


def stemmed(lines: pl.DataFrame, names: Sequence[str]) -> list[pl.Series]:
    """Return a column `stems_NAME` for each text: the first letters of its longer words.

    A paragraph is below one line and before another; it is searched once.
    """
    texts = pl.concat([lines[name] for name in names]).alias("text").to_frame()
    distinct = texts.unique(maintain_order=True).with_row_index("place")
    opening = pl.col("text").str.slice(0, _SEARCHED).str.to_lowercase()
    # Two columns are made in polars' pool, one in this thread, whose cache of patterns is full.
    found = distinct.select("place", stems=opening.str.extract_all(_STEM).list.unique())
    stems = found["stems"]
    places = texts.join(distinct, on="text", how="left", maintain_order="left")["place"]
    return [
        stems.gather(places.slice(number * len(lines), len(lines))).alias(f"stems_{name}")
        for number, name in enumerate(names)
    ]


def common(one: str, other: str) -> pl.Expr:
    """Return the stems that are in both texts."""
    return pl.col(f"stems_{one}").list.set_intersection(pl.col(f"stems_{other}"))


def shared(one: str, other: str) -> pl.Expr:
    """Return how many of one text's stems are in the other, in hundredths."""
    return share(common(one, other), one)


def share(stems: pl.Expr, name: str) -> pl.Expr:
    """Return how many these are of a text's stems, in hundredths."""
    return stems.list.len() * 100 // (pl.col(f"stems_{name}").list.len() + 1)


def refers(text: pl.Expr) -> pl.Expr:
    """Return whether a text's opening refers to what is before it."""
    return text.str.slice(0, _OPENING).str.contains(PRONOUN)


def ends_in_harm(text: pl.Expr) -> pl.Expr:
    """Return whether a text's end names a harm."""
    return text.str.slice(-_ENDING).str.contains(HARM)
