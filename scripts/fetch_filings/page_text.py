"""The text of a filing's page: one line for each block, hidden parts left out.

text(content)      # bytes of HTML, of inline XBRL or of plain text
html(content)      # the decoded HTML, or None
"""

import re
from html.parser import HTMLParser

_BLOCKS = re.compile(
    "address|article|blockquote|body|br|caption|center|dd|div|dl|dt|h[1-6]|hr|html|li|ol|p|pre"
    "|section|table|tbody|tfoot|thead|title|tr|ul"
)
_CELLS = frozenset({"td", "th"})
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})
_HIDDEN = frozenset({"script", "style", "ix:header", "ix:hidden", "head"})
_NOT_SHOWN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_INLINE = re.compile(r"display\s*:\s*inline", re.IGNORECASE)
_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_MARKUP = re.compile(rb"<(?:html|body|div|p|font|table)\b", re.IGNORECASE)
_DOCUMENT = re.compile(r"<DOCUMENT>\s*<TYPE>([^\n<]+).*?<TEXT>(.*?)</TEXT>", re.DOTALL)
_PROBE = 4096  # bytes in which an encoding is named
_SPACES = re.compile(r"[ \t\f\v\r\u00a0]+")
_LINES = re.compile(r"\n{3,}")


def text(content: bytes) -> str:
    """Return the text that a reader sees: a line for each block, a space between table cells."""
    decoded = html(content)
    if decoded is None:
        return _decoded(content).replace("\r\n", "\n")
    page = _Page()
    page.feed(decoded)
    page.close()
    lines = (_SPACES.sub(" ", line).strip() for line in "".join(page.parts).split("\n"))
    return _LINES.sub("\n\n", "\n".join(lines)).strip()


def html(content: bytes) -> str | None:
    """Return the page's HTML, or None if it is plain text."""
    return _decoded(content) if _MARKUP.search(content) else None


def of_submission(content: bytes, form: str) -> bytes:
    """Return the document of this form out of a whole submission (`<accession>.txt`)."""
    decoded = _decoded(content)
    for kind, document in _DOCUMENT.findall(decoded):
        if kind.strip() == form:
            return str(document).encode()
    return content


def _decoded(content: bytes) -> str:
    """Decode by the page's own word, else as UTF-8, else as EDGAR's old pages are: Windows-1252."""
    named = _CHARSET.search(content[:_PROBE])
    for encoding in (named[1].decode() if named else "utf-8", "utf-8"):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("windows-1252", errors="replace")


class _Page(HTMLParser):
    """Collects the shown text in `parts`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hiding, self._depth = "", 0  # the hidden element that is open, and how often
        self._inline: list[bool] = []  # of each open div: whether it is inline

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += tag == self._hiding
            return
        style = dict(attrs).get("style") or ""
        if tag not in _VOID and (tag in _HIDDEN or _NOT_SHOWN.search(style)):
            self._hiding, self._depth = tag, 1
            return
        inline = bool(_INLINE.search(style))
        if tag == "div":
            self._inline.append(inline)
        if tag in _CELLS:
            self.parts.append(" ")
        elif _BLOCKS.fullmatch(tag) and not inline:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._depth and _BLOCKS.fullmatch(tag):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            self._depth -= tag == self._hiding
            return
        inline = tag == "div" and bool(self._inline) and self._inline.pop()
        if _BLOCKS.fullmatch(tag) and not inline:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.parts.append(data.replace("\n", " "))
