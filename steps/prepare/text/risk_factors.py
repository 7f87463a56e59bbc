"""Split a section's paragraphs into risk factors: the company's own heading, and the text under it.

    risk_factors(paragraphs)      # row, paragraph -> row, position, heading, body, style

heading_model.py decides each paragraph in the context of its section. A heading is on a separate
line or is the first sentence of its paragraph ("run in": bold in print; the text has lost the
type); a section may have both. Titles of groups ("Risks Related to Our Business") belong to no risk
factor and end the one before. Text before the first heading, and text between a group's title and
its first heading, is an introduction and is left out.
"""

import polars as pl

from steps.prepare.text.heading_model import Model, kinds
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE

_BULLET = "^• "


def risk_factors(paragraphs: pl.DataFrame, model: Model | None = None) -> pl.DataFrame:
    """Return the risk factors of paragraphs (`row`, `paragraph`), decided by the model.

    `model`: another than that of the file, for `scripts.heading_model`.
    """
    return grouped(kinds(paragraphs, model))


def grouped(decided: pl.DataFrame) -> pl.DataFrame:
    """Group paragraphs as `row`, `position` (from 0), `heading`, `body`, `style`, `group`.

    `decided` has `row`, `paragraph`, `kind`, and `first`, the heading of one that is run in.

    `style` is `standing` or `run_in`. A heading without a body has an empty one. `group` is the
    last group's title before the heading; null before the first title.
    """
    marked = _marked(decided)
    opens = pl.col("kind").is_in([STANDING, RUN_IN])
    part = (pl.col("kind") != BODY).cast(pl.Int32).cum_sum().over("row")
    inside = marked.with_columns(
        position=opens.cast(pl.Int32).cum_sum().over("row") - 1,
        part=part,
        group=pl.when(pl.col("kind") == TITLE).then("heading").forward_fill().over("row"),
    ).filter((pl.col("kind") != TITLE) & (opens.any().over("row", "part")))
    return (
        inside.group_by("row", "position", maintain_order=True)
        .agg(
            pl.col("heading").first(),
            body=pl.col("rest").str.join("\n"),
            style=pl.col("kind").first(),
            group=pl.col("group").first(),
        )
        .with_columns(pl.col("body").str.strip_chars())
    )


def _marked(decided: pl.DataFrame) -> pl.DataFrame:
    """Return per paragraph its `kind`, the `heading` that it has, and `rest`, the body's text."""
    line, first = pl.col("paragraph"), pl.col("first")
    return decided.with_columns(
        heading=pl.when(pl.col("kind") == RUN_IN).then(first).otherwise(line)
        .str.replace(_BULLET, ""),
        rest=pl.when(pl.col("kind") == STANDING).then(pl.lit(""))
        .when(pl.col("kind") == RUN_IN)
        .then(line.str.slice(first.str.len_chars()).str.strip_chars_start())
        .otherwise(line),
    )  # fmt: skip
