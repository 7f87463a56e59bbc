"""Find Item 1A in the text of a filing: the longest part from its title to the next item's.

    section(text)      # the text with its title, or None

A table of contents names the item too; nothing is between it and the next item. A sentence that
begins with "Item 1A" is a title only if "Risk Factors" follows at once. Prepare looks at the rest:
running heads, notices, later items (docs/data.md).
"""

import re

_TITLE = re.compile(
    r"^[^\w\n]*(?:part\s+ii?\b[^\w\n]*)?item\s*1a\b[^\w\n]*(?:$|\n*[^\w\n]*risk\s+factors?\b)",
    re.IGNORECASE | re.MULTILINE,
)
_WORD = re.compile(r"[^\W\d_]{2}")
_NEXT = re.compile(
    r"^[^\w\n]*(?:part\s+[iv]+\b[^\w\n]*)?item\s*(?!1a\b)\d{1,2}[a-c]?\b"
    r"(?=[^\w\n]*(?:$|(?-i:[A-Z])))"
    r"|^\W*signatures?\W*$|^\W*part\s+[iv]+\W*$",
    re.IGNORECASE | re.MULTILINE,
)


def section(text: str) -> str | None:
    """Return the longest Item 1A, or None; one without an end is taken if no other is there."""
    ended, open_ended = list[str](), list[str]()
    for title in _TITLE.finditer(text):
        end = _NEXT.search(text, title.end())
        part = text[title.start() : end.start() if end else len(text)].strip()
        (ended if end else open_ended).append(part)
    found = max(ended or open_ended, key=len, default="")
    # A line of a table of contents has a page number behind the title.
    return found if _WORD.search(_TITLE.sub("", found)) else None
