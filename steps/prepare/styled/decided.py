"""Decide the paragraphs of each section by its HTML where the row has one, else by the model.

    rows, faults = kinds(paragraphs, {3: "<p><b>…</b></p>"})     # HTML by the number of the row

The HTML decides kinds only: every character of an example is of the section's text. So HTML of
another text, or with a type that is not that of headings, changes nothing: the model decides, and
`faults` has the reason.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from steps.prepare.styled import html_lines, kinds_by_type
from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.styled.paragraph_type import typed
from steps.prepare.text import heading_model
from steps.prepare.text.heading_sequence import RUN_IN, STANDING, TITLE

COLUMN = "section_html"
OF_ANOTHER_TEXT = f"{COLUMN}: the text of the section expected"
NO_HEADINGS_BY_TYPE = f"{COLUMN}: headings in bold, italic or underlined type expected"
UNREADABLE = f"{COLUMN}: HTML of a filing expected"
TOO_LONG = f"{COLUMN}: at most 40,000,000 characters expected"

_LONGEST = 40_000_000  # characters; ten times the longest section
# Titles of parts that are not a risk factor, often in the type of headings
_NO_RISK = re.compile(
    r"(?i)^\W*(?:risk factors? summary"
    r"|summary (?:of )?(?:the |our )?(?:principal |material )?risk.*"
    r"|(?:cautionary|special) (?:statement|note).*|.{0,60}forward-looking statements?)\W*$"
)


def kinds(
    paragraphs: pl.DataFrame, html: Mapping[int, str]
) -> tuple[pl.DataFrame, dict[int, str | None]]:
    """Return `row`, `paragraph`, `first` and `kind`, and of each row with HTML its fault or None.

    Args:
        paragraphs: `row` and `paragraph`, in order.
        html: the HTML of some rows.
    """
    decided, faults = list[pl.DataFrame](), dict[int, str | None]()
    for row, content in html.items():
        own = paragraphs.filter(pl.col("row") == row)
        if own.is_empty():
            continue
        found = _by_type(own["paragraph"].to_list(), content)
        faults[row] = found if isinstance(found, str) else None
        if not isinstance(found, str):
            decided.append(_rows(own, found))
    done = [row for row, fault in faults.items() if fault is None]
    if not done:
        return heading_model.kinds(paragraphs), faults
    rest = heading_model.kinds(paragraphs.filter(~pl.col("row").is_in(done)))
    whole = pl.concat([rest, *decided]).sort("row", maintain_order=True)
    return whole, faults


def _by_type(texts: list[str], html: str) -> list[Labelled] | str:
    """Return the kinds of a section's paragraphs, or why its HTML does not decide them."""
    if len(html) > _LONGEST:
        return TOO_LONG
    try:
        marked = typed(texts, html_lines.lines(html))
    except html_lines.Unreadable:
        return UNREADABLE
    if marked is None:
        return OF_ANOTHER_TEXT
    labelled = [_without_notice(one) for one in kinds_by_type.labelled(marked)]
    return labelled or NO_HEADINGS_BY_TYPE


def _without_notice(one: Labelled) -> Labelled:
    """Return the heading of a summary or of a notice as a title, which ends a risk factor."""
    notice = one.kind == STANDING and _NO_RISK.match(one.heading)
    return replace(one, kind=TITLE, heading="") if notice else one


def _rows(paragraphs: pl.DataFrame, found: list[Labelled]) -> pl.DataFrame:
    firsts = [
        one.paragraph[: one.paragraph.index(one.heading) + len(one.heading)]
        if one.kind == RUN_IN
        else None
        for one in found
    ]
    return paragraphs.select(
        "row",
        "paragraph",
        first=pl.Series(firsts, dtype=pl.String),
        kind=pl.Series([one.kind for one in found], dtype=pl.String),
    )
