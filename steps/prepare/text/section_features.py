"""Describe each paragraph by what the first pass found in its section: style, neighbours, places.

    placed(described)      # line_features.described, with the first pass' scores -> and SIZES

The scores (`standing`, `run_in`, `title`) are of the first pass, in hundredths; positive means more
likely than body text. A section's own style shows in them: how many of its headings are on separate
lines, and which form they have.
"""

from functools import cache
from typing import Final

import polars as pl

from steps.prepare.text import line_features
from steps.prepare.text.line_features import binned
from steps.prepare.text.paragraphs import neighbour

SCORES: Final = ("standing", "run_in", "title")
_LONG = 300  # characters; a longer paragraph is mostly body text
_FAR = -999  # the score beyond a section's ends

_SCORE = (-400, -200, -100, -50, 0, 50, 100, 200, 400)
_NEAR = (-200, -50, 50, 200)
_PERCENT = (3, 10, 25, 50, 70, 90)
_SHARE = (5, 20, 40, 60, 80, 95)
_EDGES: Final = {
    **{f"{name}_score": _SCORE for name in SCORES},
    **{f"{name}_{place}": _NEAR for name in SCORES for place in ("1", "2", "11", "22")},
    "run_in_share": (5, 15, 30, 50, 70, 85, 95),
    "standing_rate": _PERCENT,
    "run_in_rate": _PERCENT,
    "standing_like_this": _PERCENT,
    "run_in_like_this": _PERCENT,
    "form_standing": _SHARE,
    "form_run_in": _SHARE,
    "form_title": _SHARE,
    "usual_length": (40, 60, 80, 100, 125, 160, 220),
    "usual_rest": (40, 60, 80, 100, 125, 160, 220),
    "since": (0, 1, 2, 4, 8, 14),
    "until": (1, 2, 3, 5, 9, 15),
}
SIZES: Final[dict[str, int]] = {
    **{name: len(edges) + 1 for name, edges in _EDGES.items()},
    "begun": 2,
    "closing_before": 2,
    "shape": line_features.SIZES["shape"],
    "rest": line_features.SIZES["rest"],
}
TERMS: Final[tuple[tuple[str, ...], ...]] = (
    ("standing_score", "standing_rate"), ("standing_score", "run_in_share"),
    ("run_in_score", "run_in_share"), ("run_in_score", "standing_rate"),
    ("run_in_score", "run_in_rate"), ("title_score",), ("standing_score", "title_score"),
    ("standing_score", "run_in_score"), ("standing_like_this", "shape"),
    ("standing_like_this", "standing_score"), ("run_in_like_this", "run_in_score"),
    ("form_standing", "standing_score"), ("form_standing", "shape"),
    ("form_run_in", "run_in_score"), ("form_title", "shape"), ("form_title", "title_score"),
    ("run_in_like_this", "rest"), ("standing_2", "shape"), ("standing_1", "shape"),
    ("run_in_1", "shape", "run_in_share"), ("run_in_2", "shape"), ("run_in_2", "title_score"),
    ("title_2", "shape"), ("title_1", "shape"), ("standing_22", "shape"), ("standing_11", "shape"),
    ("run_in_11", "rest"), ("standing_score", "standing_1", "run_in_1"),
    ("standing_score", "standing_2", "title_2"), ("standing_score", "run_in_2", "standing_2"),
    ("run_in_score", "standing_1", "run_in_1"), ("run_in_score", "standing_2", "run_in_2"),
    ("shape", "run_in_share"), ("shape", "standing_rate"), ("since", "shape"), ("until", "shape"),
    ("begun", "shape"), ("usual_length", "standing_score"), ("usual_length", "shape"),
    ("usual_rest", "run_in_score"), ("closing_before", "standing_score"),
    ("closing_before", "run_in_score"), ("closing_before", "since", "shape"),
    ("rest", "run_in_share"), ("since", "run_in_score"),
    ("since", "standing_score"), ("until", "standing_score"),
)  # fmt: skip


def placed(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the paragraphs with the columns of `SIZES`."""
    standing, run_in, title = (pl.col(name) for name in SCORES)
    found = scored.with_columns(
        a=(standing > 0) & (standing >= title) & (standing >= run_in),
        b=(run_in > 0) & (run_in > standing) & (run_in > title),
        c=(title > 0) & (title > standing) & (title >= run_in),
        long=pl.col("characters") > _LONG,
        unit_characters=pl.col("unit").str.len_chars().cast(pl.Int32),
    )
    found = found.with_columns(
        **{f"of_{name}": _sum(name, "row") for name in ("a", "b", "long")},
        **{f"{name}_of_form": _sum(name, "row", "form") for name in ("a", "c")},
        form_lines=pl.len().over("row", "form").cast(pl.Int32),
        a_characters=pl.col("characters").cast(pl.Int32).filter("a").sum().over("row"),
        b_characters=pl.col("unit_characters").filter("b").sum().over("row"),
        b_of_unit_form=_sum("b", "row", "unit_form"),
        unit_form_lines=pl.len().over("row", "unit_form").cast(pl.Int32),
        part=(pl.col("a") | pl.col("b") | pl.col("c")).cast(pl.Int32).cum_sum().over("row"),
    )
    found = found.with_columns(**_shares(), **_places(), **_neighbours())
    return found.with_columns(binned(name, edges) for name, edges in _EDGES.items())


def _sum(name: str, *keys: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int32).sum().over(*keys)


@cache
def _shares() -> dict[str, pl.Expr]:
    a, b, long = pl.col("of_a"), pl.col("of_b"), pl.col("of_long")
    characters, first = pl.col("characters").cast(pl.Int32), pl.col("unit_characters")
    return {
        "usual_length": characters * a * 100 // (pl.col("a_characters") + 1),
        "usual_rest": first * b * 100 // (pl.col("b_characters") + 1),
        "run_in_share": b * 100 // (a + b + 1),
        "standing_rate": a * 100 // (long + 1),
        "run_in_rate": b * 100 // (long + 1),
        "standing_like_this": pl.col("a_of_form") * 100 // (a + 1),
        "run_in_like_this": pl.col("b_of_unit_form") * 100 // (b + 1),
        "form_standing": pl.col("a_of_form") * 100 // pl.col("form_lines"),
        "form_run_in": pl.col("b_of_unit_form") * 100 // pl.col("unit_form_lines"),
        "form_title": pl.col("c_of_form") * 100 // pl.col("form_lines"),
    }


@cache
def _places() -> dict[str, pl.Expr]:
    """How many paragraphs since the last likely heading, how many to the next, and if any was."""
    heads = (pl.col("a") | pl.col("b") | pl.col("c")).cast(pl.Int32)
    since = pl.int_range(pl.len(), dtype=pl.Int32).over("row", "part")
    return {
        "since": since,
        "until": pl.len().over("row", "part").cast(pl.Int32) - since,
        "begun": (pl.col("part") > heads).cast(pl.Int32),
    }


@cache
def _neighbours() -> dict[str, pl.Expr]:
    places = {"1": 1, "2": -1, "11": 2, "22": -2}
    near = {
        f"{name}_{place}": neighbour(pl.col(name), distance).fill_null(_FAR)
        for name in SCORES
        for place, distance in places.items()
    }
    return {f"{name}_score": pl.col(name) for name in SCORES} | near
