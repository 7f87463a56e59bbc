"""Unwrap hard-wrapped text to one paragraph a line.

    unwrapped(pl.col("text"))       # an expression; a text that is not hard-wrapped stays unchanged

EDGAR's text files break lines at 60 to 80 characters. A blank line ends a paragraph. So does a line
that begins a list item, an item's title or an indented paragraph. A text without blank lines gives
no evidence and stays unchanged.
"""

import re
from itertools import pairwise

import polars as pl

_BLANK_LINE = r"\n *\n"
_WIDEST = 100  # characters; filings were typed for 80 columns
_FULL = 45  # characters; a shorter line may end where its author wished
_MOSTLY, _HARDLY = 0.25, 0.02  # of all lines
_BEGINS = re.compile(
    r"\s*(?:[•·▪◦●■○‣*]|[–—-]\s|\([a-z0-9ivx]{1,4}\)\s|items?\s*\d|part\s+[iv]+\b)", re.IGNORECASE
)
_ENDS = re.compile(r"[.!?:;][\"'”’)]*$")
_OF_CONTENTS = re.compile(r"(?:\.{3,}|\s{3,})\s*\d{1,3}$")
_PAGE_NUMBER = re.compile(
    r"(?:\s{10,}|\s*[-–—]\s*|\s*page\s+)(?:[a-z]-)?\d{1,3}\s*[-–—]?$", re.IGNORECASE
)
_HYPHENATED = re.compile(r"([A-Za-z]+)[-\u2010]\n([a-z]+)")
_INDENT = 2  # characters


def unwrapped(text: pl.Expr) -> pl.Expr:
    """Return one paragraph a line, where lines were broken by their length."""
    return text.map_batches(_where_wrapped, return_dtype=pl.String)


def _where_wrapped(texts: pl.Series) -> pl.Series:
    candidates = texts.str.contains(_BLANK_LINE).fill_null(value=False).arg_true()
    if candidates.is_empty():
        return texts
    joined = [_joined(text) if _is_wrapped(text) else text for text in texts.gather(candidates)]
    return texts.clone().scatter(candidates, pl.Series(joined, dtype=pl.String))


def _is_wrapped(text: str) -> bool:
    """Return whether almost no line is long and many full lines are followed by another line."""
    lengths = [len(line.strip()) for line in text.split("\n")]
    lines = sum(map(bool, lengths))
    full = sum(length >= _FULL and below > 0 for length, below in pairwise(lengths))
    long = sum(length > _WIDEST for length in lengths)
    return full >= max(2, _MOSTLY * lines) and long <= _HARDLY * lines


def _joined(text: str) -> str:
    lines = [line.rstrip() for line in text.split("\n")]
    width = sorted(map(len, lines))[-len(lines) // 50 - 1]
    paragraphs: list[str] = []
    before = ""
    for line in lines:
        if not line or not before or _opens(line, before, width):
            paragraphs.append(line)
        else:
            paragraphs[-1] += "\n" + line.strip()
        before = line
    words = set(re.findall(r"[a-z]+", re.sub(_HYPHENATED, " ", text.lower())))
    return "\n".join(
        _HYPHENATED.sub(lambda found: _whole(found, words), entry).replace("\n", " ")
        for entry in paragraphs
    )


def _opens(line: str, before: str, width: int) -> bool:
    """Return whether a line begins a paragraph although no blank line is above it."""
    if (
        _PAGE_NUMBER.fullmatch(line)
        or _PAGE_NUMBER.fullmatch(before)
        or _OF_CONTENTS.search(before)
    ):
        return True
    ended = bool(_ENDS.search(before))
    if _BEGINS.match(line):
        return ended or len(before) < width * 2 // 3
    return ended and (_indent(line) - _indent(before) >= _INDENT or len(before) < width // 2)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _whole(found: re.Match[str], words: set[str]) -> str:
    """Join a word that a hyphen breaks at a line's end.

    The hyphen goes if the text has the joined word, or if the first half is not a word of the text.
    """
    first, second = found.groups()
    together = (first + second).lower()
    return (
        first + second if together in words or first.lower() not in words else f"{first}-{second}"
    )
