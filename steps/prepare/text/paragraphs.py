"""A filing's section as clean paragraphs: page furniture removed, bullets and broken lines joined.

    paragraphs(pl.DataFrame({"row": [0], "text": ["…"]}))   # one row per paragraph: row, paragraph

EDGAR's texts come from printed pages: page numbers and running heads come between two halves of a
sentence, and a bullet has a separate line. The text is cleaned (characters.py) and has one
paragraph a line (wrapped.py) before.
"""

import polars as pl

_BULLET = r"^(?:[•·▪◦●■○‣\u2013\u2014*o-]|\([a-z0-9ivx]{1,4}\))$"
_OPENING_BULLET = r"^(?:[•·▪◦●■○‣]\s*|[*–—-]\s+)"
_PAGE_NUMBER = r"(?i)^(?:page\s*)?[-–—\s]*(?:[a-z]-)?(?:\d{1,4}|[ivxl]{1,6})[-–—\s]*(?:of \d+)?\.?$"
_FURNITURE = (
    "(?i)^(?:table of contents|index|form 10-[kq]|part [iv]+|back to (?:top|contents)"
    r"|\(?continued\)?"
    r"|item\s+\d+[ab]?\.?\s+.{0,40}\(?continued\)?)\.?$"
)
_RULE = r"^[-–—_=*.\s]{3,}$"
_ENDS = r"[.:;!?…][\"'”’)\]]*$"
_CONTINUES = r"^[a-z,;)]"
# A line that ends with one of these words continues in the next, also before a capital letter.
_UNFINISHED = (
    r"(?i)\b(?:a|an|the|of|to|in|on|at|by|for|from|with|and|or|our|their|its|your|this|that|these"
    r"|those|which|as|such|is|are|was|were|be|been|not|may|could|will|would|can|should|if|than|see"
    r"|under)$"
)
_LONGEST_TITLE = 130  # characters; the first line of a title of two lines is shorter
_NUMBER_AT_AN_END = r"^\d{1,4}\s+|\s+\d{1,4}$"
_OF_A_COMPANY = r"(?i)\b(?:inc|corp|co|ltd|l\.p|plc|n\.v|s\.a)\.$"

_HEAD_MAX_CHARACTERS = 90  # a running head; headings of risk factors are longer or occur once
_HEAD_MIN_REPEATS = 3
# A line that is longer is not short without a number of four digits either.
_LONGEST_WITH_NUMBER = 2 * _HEAD_MAX_CHARACTERS


def paragraphs(sections: pl.DataFrame) -> pl.DataFrame:
    """Split sections (`row`, `text`) into paragraphs (`row`, `paragraph`), in order.

    A section of furniture only has no paragraph.
    """
    lines = _lines(sections)
    lines = _with_bullets(lines.filter(~_is_furniture()))
    lines = lines.filter(~_is_running_head())
    return _joined(lines)


def neighbour(column: pl.Expr, distance: int) -> pl.Expr:
    """Return the value of the paragraph so far above (below if negative) in the same section.

    Null beyond the section's ends. The paragraphs of a section must be next to each other: so
    this is a comparison of numbers, where a window would group the rows.
    """
    row = pl.col("row")
    return pl.when(row.shift(distance) == row).then(column.shift(distance))


def _lines(sections: pl.DataFrame) -> pl.DataFrame:
    return (
        sections.select("row", paragraph=pl.col("text").str.split("\n"))
        .explode("paragraph")
        .with_columns(pl.col("paragraph").str.replace_all(" {2,}", " ").str.strip_chars())
        .filter(pl.col("paragraph").fill_null("") != "")
    )


def _is_furniture() -> pl.Expr:
    line = pl.col("paragraph")
    return (
        line.str.contains(_PAGE_NUMBER) | line.str.contains(_FURNITURE) | line.str.contains(_RULE)
    )


def _is_running_head() -> pl.Expr:
    """Return whether a line is short, has no full stop and is repeated in the section.

    A page number at either end does not count, nor does the full stop of "Inc.".
    """
    line = pl.col("paragraph")
    short = (
        (line.str.len_chars() <= _HEAD_MAX_CHARACTERS)
        & (~line.str.contains(_ENDS) | line.str.contains(_OF_A_COMPANY))
        & ~line.str.starts_with("•")
    )
    head = (
        pl.when(line.str.len_chars() <= _LONGEST_WITH_NUMBER)
        .then(line.str.replace(_NUMBER_AT_AN_END, ""))
        .otherwise(line)
    )
    return short & (pl.len().over("row", head) >= _HEAD_MIN_REPEATS)


def _with_bullets(lines: pl.DataFrame) -> pl.DataFrame:
    """Write every list item as `• item` on one line."""
    line, before = pl.col("paragraph"), pl.col("paragraph").shift().over("row").fill_null("")
    alone = line.str.contains(_BULLET)
    item = ~alone & before.str.contains(_BULLET)
    return lines.with_columns(
        paragraph=pl.when(item)
        .then("• " + line)
        .otherwise(line.str.replace(_OPENING_BULLET, "• ")),
        alone=alone,
    ).filter(~pl.col("alone"))


def _joined(lines: pl.DataFrame) -> pl.DataFrame:
    """Join a line that continues in the next one: no full stop before, a small letter after.

    Behind a long line that ends with an article, a preposition or the like a capital letter
    continues it too ("the U.S. Department of", "Justice").
    """
    line, before = pl.col("paragraph"), pl.col("paragraph").shift().over("row")
    unfinished = (before.str.len_chars() > _LONGEST_TITLE) & before.str.slice(-12).str.contains(
        _UNFINISHED
    )
    goes_on = (
        (line.str.contains(_CONTINUES) | (unfinished & ~line.str.starts_with("•")))
        & ~before.str.contains(_ENDS)
        & ~before.str.starts_with("•")
    )
    number = (~goes_on.fill_null(value=False)).cast(pl.UInt32).cum_sum().over("row")
    return (
        lines.with_columns(number=number)
        .group_by("row", "number", maintain_order=True)
        .agg(pl.col("paragraph").str.join(" "))
        .drop("number")
    )
