"""Choose the kinds of neighbouring paragraphs together: a heading on its line needs text below.

    settled(scored)      # rows with `kind` and the scores -> the same rows, `kind` settled

Paragraph by paragraph the model may call two lines in a row headings. Of the sequences that are
possible there, this module takes the one with the largest sum of scores, less a penalty for each
heading that has no text below it (Viterbi's algorithm). Elsewhere nothing changes.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from steps.prepare.text.section_features import SCORES

BODY, STANDING, RUN_IN, TITLE = "body", "standing", "run_in", "title"
KINDS: Final = (BODY, STANDING, RUN_IN, TITLE)

_NO_TEXT_BELOW = 500  # hundredths, as the scores; 100 to 400 gave the same F1 within 0.001
_STANDING = KINDS.index(STANDING)


def settled(scored: pl.DataFrame) -> pl.DataFrame:
    """Settle runs of paragraphs that are not body text and hold a heading without text below."""
    body = pl.col("kind") == BODY
    below = pl.col("kind").shift(-1).over("row").fill_null(TITLE)
    marked = scored.with_row_index("line").with_columns(
        alone=(pl.col("kind") == STANDING) & (below != BODY),
        last=pl.int_range(pl.len(), 0, -1).over("row") == 1,
        run=(body | (pl.col("row") != pl.col("row").shift()).fill_null(value=True)).cum_sum(),
    )
    runs = marked.filter(~body).filter(pl.col("alone").any().over("run"))
    if runs.is_empty():
        return scored
    kinds = scored["kind"].to_list()
    for run in runs.partition_by("run", maintain_order=True):
        scores = [(0, *line) for line in run.select(SCORES).rows()]
        chosen = best(scores, at_end=run["last"][-1])
        for line, kind in zip(run["line"], chosen, strict=True):
            kinds[line] = kind
    return scored.with_columns(kind=pl.Series(kinds, dtype=pl.String))


def best(scores: Sequence[Sequence[int]], *, at_end: bool) -> list[str]:
    """Return the best sequence of kinds for lines with these scores, in the order of `KINDS`.

    `at_end`: the section ends with the last line, so a heading there has no text below it.
    """
    totals, came_from = list(scores[0]), []
    for line in scores[1:]:
        steps = [
            max(
                range(len(KINDS)),
                key=lambda before: totals[before] - _cost(before, after),
            )
            for after in range(len(KINDS))
        ]
        came_from.append(steps)
        totals = [
            totals[before] - _cost(before, after) + line[after]
            for after, before in enumerate(steps)
        ]
    if at_end:
        totals[_STANDING] -= _NO_TEXT_BELOW
    chosen = [max(range(len(KINDS)), key=totals.__getitem__)]
    for steps in reversed(came_from):
        chosen.append(steps[chosen[-1]])
    return [KINDS[kind] for kind in reversed(chosen)]


def _cost(before: int, after: int) -> int:
    """Return the penalty for these two kinds in this order; body text is kind 0."""
    return _NO_TEXT_BELOW if before == _STANDING and after else 0
