"""Label the paragraphs of a section by the type of its lines: the rules that replace a reader.

    labelled(lines)      # -> list of Labelled in order, or [] where the type is not to be trusted

The paragraphs are Prepare's own, from the lines' plain text, and so are the rules
(`steps.prepare.styled`): where a raw table has a section's HTML, Prepare decides by them.
"""

from collections.abc import Sequence

import polars as pl

from steps.prepare.styled import kinds_by_type
from steps.prepare.styled.html_lines import Line
from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.styled.paragraph_type import typed
from steps.prepare.text import run_on, sections
from steps.prepare.text.characters import cleaned
from steps.prepare.text.paragraphs import paragraphs
from steps.prepare.text.wrapped import unwrapped


def split(text: str) -> list[str]:
    """Return Prepare's paragraphs of one section's plain text."""
    clean = pl.DataFrame({"text": [text]}).select(unwrapped(cleaned(pl.col("text"))))
    ended = run_on.ended(clean.to_series()).select(text=sections.untitled(pl.col("text")))
    rows = ended.with_columns(row=pl.lit(0, pl.UInt32))
    return [str(line) for line in paragraphs(rows)["paragraph"]]


def labelled(lines: Sequence[Line]) -> list[Labelled]:
    """Return the section's paragraphs with their kinds."""
    texts = split("\n".join(line.text for line in lines))
    return kinds_by_type.labelled(typed(texts, lines) or [])
