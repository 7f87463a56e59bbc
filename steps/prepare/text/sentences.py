"""Find a paragraph's sentences, behind abbreviations that end none."""

import re

import polars as pl

# Full stops that end no sentence; while one is looked for they are held by another character of the
# same length.
_ABBREVIATION = (
    r"\b(U\.S|U\.K|D\.C|N\.A|E\.U|L\.P|S\.A|Inc|Corp|Co|Ltd|Nos?|St|Mr|Ms|Mrs|Dr|vs?|Jr|Sr|Sec"
    r"|e\.g|i\.e|etc|cf|approx|[A-Z])\. "
)
_HELD = "\x00"
SEARCHED = 900  # characters; no first sentence is longer
_FIRST_SENTENCE = r"^(.{3,}?[.!?:][\"'”’)]*)\s+[A-Z0-9“\"‘(•]"
_HELD_IN_PYTHON = re.compile(_ABBREVIATION)
_NEXT = re.compile(r"(?<=[.!?:])([\"'”’)]*)\s+(?=[A-Z0-9“\"‘(•])|\n+")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, and lines, each without the space around it."""
    held = _HELD_IN_PYTHON.sub(rf"\1{_HELD} ", text)
    found = _NEXT.sub(r"\1\n", held).replace(_HELD, ".").split("\n")
    return [each.strip() for each in found if each.strip()]


def first_sentence(name: str = "paragraph") -> pl.Expr:
    """Return a paragraph's first sentence or lead ("Competition:"), or null if it has only one."""
    held = pl.col(name).str.slice(0, SEARCHED)
    held = held.str.replace_all(_ABBREVIATION, "${1}" + _HELD + " ")
    return held.str.extract(_FIRST_SENTENCE).str.replace_all(_HELD, ".", literal=True)
