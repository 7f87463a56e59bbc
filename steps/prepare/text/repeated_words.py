"""How many words of a paragraph's first sentence are in what follows it, or went before.

    lines.with_columns(**stems())      # of each paragraph alone
    compared(lines)      # the same rows with `overlap` and `overlap_before`, in hundredths

`lines` has `row`, `paragraph`, `unit` (the first sentence), `sentence_breaks`, `bullet`, `lower`.
Words are compared by their first letters.
"""

from functools import cache

import polars as pl

from steps.prepare.text.paragraphs import neighbour

_STEM = r"(?-u:\b)[a-z]{5,6}"
_OVERLAPPING = 250  # characters that are compared
# The stems of a first sentence, of its rest, and of a paragraph's two ends.
_STEMS = ("stems", "stems_of_rest", "stems_of_head", "stems_of_tail")


def compared(lines: pl.DataFrame) -> pl.DataFrame:
    """Add both shares.

    What follows a short line is the next paragraph; what follows a first sentence, its rest. List
    items and continued lines head nothing; they are not compared.
    """
    own, rest, head, tail = (pl.col(name) for name in _STEMS)
    considered = ~pl.col("bullet") & ~pl.col("lower")
    below = pl.when(pl.col("sentence_breaks") > 1).then(rest).otherwise(neighbour(head, -1))
    shares = {
        "overlap": _shared(own, below),
        "overlap_before": _shared(own, neighbour(tail, 1)),
    }
    found = lines.with_columns(
        pl.when(considered).then(share).otherwise(0).alias(name) for name, share in shares.items()
    )
    return found.drop(_STEMS)


def _shared(own: pl.Expr, other: pl.Expr) -> pl.Expr:
    both = own.list.set_intersection(other).list.len()
    return (both * 100 // (own.list.len() + 1)).fill_null(0)


@cache
def stems() -> dict[str, pl.Expr]:
    """Return the stems of each paragraph alone, out of `paragraph` and `unit`."""
    line, unit = pl.col("paragraph"), pl.col("unit")
    texts = (
        unit,
        line.str.slice(unit.str.len_chars(), _OVERLAPPING),
        line.str.slice(0, _OVERLAPPING),
        line.str.slice(-_OVERLAPPING),
    )
    return {
        name: text.str.to_lowercase().str.extract_all(_STEM)
        for name, text in zip(_STEMS, texts, strict=True)
    }
