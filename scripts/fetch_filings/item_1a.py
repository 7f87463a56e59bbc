"""Find Item 1A in the text of a filing: the longest part from its title to the next item's.

    section(text)      # the text with its title, or None
    styled(page)       # the same section of an HTML page: paragraphs, bold, italic, underlined

A table of contents names the item too; nothing is between it and the next item. A sentence that
begins with "Item 1A" is a title only if "Risk Factors" follows at once. Prepare looks at the rest:
running heads, notices, later items (docs/data.md).
"""

import re
from collections.abc import Iterator

from steps.prepare.styled import html_lines
from steps.prepare.styled.html_lines import Line

_TITLE = re.compile(
    r"^[^\w\n]*(?:part\s+ii?\b[^\w\n]*)?item\s*1a\b[^\w\n]*(?:$|\n*[^\w\n]*risk\s+factors?\b)",
    re.IGNORECASE | re.MULTILINE,
)
_WORD = re.compile(r"[^\W\d_]{2}")
_NEXT = re.compile(
    r"^[^\w\n]*(?:part\s+[iv]+\b[^\w\n]*)?item\s*(?!1a\b)\d{1,2}[a-c]?\b"
    r"(?=[^\w\n]*(?:$|(?-i:[A-Z])))"
    r"|^\W*signatures?\W*$|^\W*part\s+[iv]+[^\w\n]*$(?!\W*item\s*1a\b)",
    re.IGNORECASE | re.MULTILINE,
)


def section(text: str) -> str | None:
    """Return the longest Item 1A, or None; one without an end is taken if no other is there."""
    found = bounds(text)
    return text[found.start : found.stop].strip() if found else None


def bounds(text: str) -> range | None:
    """Return the characters of the same section."""
    ended, open_ended = list[range](), list[range]()
    for title in _TITLE.finditer(text):
        end = _NEXT.search(text, title.end())
        part = range(title.start(), end.start() if end else len(text))
        (ended if end else open_ended).append(part)
    found = max(
        ended or open_ended,
        key=lambda part: len(text[part.start : part.stop].strip()),
        default=range(0),
    )
    # A line of a table of contents has a page number behind the title.
    has_words = _WORD.search(_TITLE.sub("", text[found.start : found.stop].strip()))
    return found if has_words else None


def styled(page: str) -> str | None:
    """Return Item 1A of an HTML page as plain HTML: its lines with their type, nothing else.

    None: the page has no such section, or its HTML cannot be read by type; its text still can.
    """
    try:
        lines = html_lines.lines(page)
    except html_lines.Unreadable:
        return None
    found = bounds("\n".join(line.text for line in lines))
    return html_lines.written(list(_within(lines, found))) if found else None


def _within(lines: list[Line], section: range) -> Iterator[Line]:
    start = 0
    for line in lines:
        if start in section:
            yield line
        start += len(line.text) + 1
