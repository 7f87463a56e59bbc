"""Read a filing's HTML as lines of text that keep their type: bold, italic, underlined.

    lines(html)      # -> list of Line, one for each block or line break that has text
    written(lines)   # -> HTML of these lines: paragraphs, bold, italic, underlined, centred

The lines are what EDGAR-CRAWLER's plain text has: a block, a table row or a line break ends a
line, and spaces are single. Hidden parts, scripts and rows of numbers are left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from itertools import groupby

BOLD, ITALIC, UNDERLINE, CENTRED = 1, 2, 4, 8

_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "p div tr table li ul ol h1 h2 h3 h4 h5 h6 center hr dl dt dd blockquote pre caption body "
        "section article title",
    )
)
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "col", "wbr", "area", "page"))
_HIDDEN = frozenset(("head", "script", "style", "ix:header", "ix:hidden"))
_TYPE = {"b": BOLD, "strong": BOLD, "i": ITALIC, "em": ITALIC, "u": UNDERLINE, "ins": UNDERLINE}
_TYPE |= dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6", "th"), BOLD) | {"center": CENTRED}
_DECLARED = (
    (re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)"), BOLD, True),
    (re.compile(r"font-weight\s*:\s*(?:normal|[1-5]00)"), BOLD, False),
    (re.compile(r"font-style\s*:\s*(?:italic|oblique)"), ITALIC, True),
    (re.compile(r"font-style\s*:\s*normal"), ITALIC, False),
    (re.compile(r"text-decoration[a-z-]*\s*:[a-z\s]*underline"), UNDERLINE, True),
    (re.compile(r"text-decoration\s*:\s*none"), UNDERLINE, False),
    (re.compile(r"text-align\s*:\s*center"), CENTRED, True),
    (re.compile(r"text-align\s*:\s*(?:left|justify)"), CENTRED, False),
)
_WORD_OR_SPACE = re.compile(r"\s+|\S+")
_INVISIBLE = re.compile(r"display\s*:\s*none")
# What keeps the time of hostile HTML proportional to its length; filings have far less of each.
_MOST_OPEN = 256  # elements in each other: an end tag looks for its start among them
_MOST_STYLE = 2000  # characters of one style attribute that are read
_MOST_UNCLOSED = 1 << 14  # characters at the end that a tag or a comment does not close
_MOST_CELLS = 3  # a row with more cells of text is of a table; lists are typed as two or three


class Unreadable(ValueError):
    """HTML that is not that of a filing: the parser refuses it, or would take too long."""


@dataclass(frozen=True)
class Line:
    """One line of a filing: its text, and the type of each of its characters."""

    text: str
    types: bytes


def _line(parts: Sequence[tuple[str, int]]) -> Line:
    """Return the parts as one line with single spaces."""
    words: list[str] = []
    types = bytearray()
    spaced = True
    for text, kind in parts:
        for word in _WORD_OR_SPACE.findall(text):
            if not word.isspace():
                words.append(word)
                types += bytes([kind]) * len(word)
                spaced = False
            elif not spaced:
                words.append(" ")
                types.append(kind)
                spaced = True
    joined = "".join(words).rstrip()
    return Line(joined, bytes(types[: len(joined)]))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._parts: list[tuple[str, int]] = []
        self._open: list[tuple[str, int, bool]] = [("", 0, False)]
        self._cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS or tag == "br":
            self._end_line()
        if tag == "tr":
            self._cells = 0
        if tag in ("td", "th"):
            self._parts.append((" ", self._open[-1][1]))
        if tag not in _VOID:
            if len(self._open) > _MOST_OPEN:
                del self._open[1]  # of paragraphs that are never closed, the oldest
            self._open.append((tag, *self._entered(tag, dict(attrs))))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS or tag == "br":
            self._end_line()

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS and not (tag == "tr" and self._cells > _MOST_CELLS):
            self._end_line()
        elif tag == "tr":
            self._parts.clear()
        if tag in ("td", "th") and self._parts and self._parts[-1][0].strip():
            self._cells += 1
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth][0] == tag:
                del self._open[depth:]
                break

    def handle_data(self, data: str) -> None:
        _, kind, hidden = self._open[-1]
        if not hidden:
            self._parts.append((data, kind))

    def close(self) -> None:
        super().close()
        self._end_line()

    def _entered(self, tag: str, attrs: dict[str, str | None]) -> tuple[int, bool]:
        _, kind, hidden = self._open[-1]
        kind |= _TYPE.get(tag, 0)
        style = (attrs.get("style") or "")[:_MOST_STYLE].lower()
        if (attrs.get("align") or "").lower() == "center":
            kind |= CENTRED
        for pattern, bit, present in _DECLARED if style else ():
            if pattern.search(style):
                kind = kind | bit if present else kind & ~bit
        return kind, hidden or tag in _HIDDEN or bool(_INVISIBLE.search(style))

    def _end_line(self) -> None:
        if any(not text.isspace() for text, _ in self._parts):
            self.lines.append(_line(self._parts))
        self._parts.clear()


def lines(html: str) -> list[Line]:
    """Return the lines of a filing, in order.

    Raises:
        Unreadable: the parser does not know a declaration in it, or a tag or comment long before
            its end is never closed.
    """
    reader = _Reader()
    try:
        reader.feed(html)
    except AssertionError:  # HTMLParser's answer to an unknown marked section
        raise Unreadable from None
    if len(reader.rawdata) > _MOST_UNCLOSED:
        raise Unreadable
    reader.close()
    return reader.lines


def written(found: Sequence[Line]) -> str:
    """Return HTML that `lines` reads as these lines; it has no other attribute, style or tag."""
    return "\n".join(map(_paragraph, found))


def _paragraph(line: Line) -> str:
    centred = bool(line.types) and all(kind & CENTRED for kind in line.types)
    parts, place = [f"<p{' align=center' if centred else ''}>"], 0
    for kind, run in groupby(line.types):
        end = place + len(list(run))
        tags = [tag for tag, bit in (("b", BOLD), ("i", ITALIC), ("u", UNDERLINE)) if kind & bit]
        parts += [f"<{tag}>" for tag in tags]
        parts.append(escape(line.text[place:end], quote=False))
        parts += [f"</{tag}>" for tag in reversed(tags)]
        place = end
    return "".join([*parts, "</p>"])
