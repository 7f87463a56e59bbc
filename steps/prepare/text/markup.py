"""Remove markup from extracted text: tags of HTML, of EDGAR's text files and of inline XBRL.

    removed(pl.col("text"))     # an expression: the text without tags
    left(pl.col("text"))        # an expression: whether a part of a tag remains

A block tag ends a paragraph, a line break ends a line, other tags are removed.

A tag is a known name with attributes that have values. So `a < b` and `<Company Name>` are text and
stay.
"""

import polars as pl

_BLOCKS = (
    "p|div|hr|tr|table|tbody|thead|tfoot|caption|li|ul|ol|dl|dd|dt|h[1-6]|center|pre|blockquote"
    "|page|body|html|head|title"
    "|section|article|document|type|sequence|filename|description|text"
)
_LINES = "br"
_CELLS = "td|th|s|c|fn|col|colgroup"
_INLINE = (
    "font|b|i|u|em|strong|span|a|sup|sub|small|big|strike|strong|tt|code|ins|del|nobr|img|input"
    "|link|meta|label"
    "|(?:ix|xbrli?|xbrldi|link|us-gaap|dei|xlink):[a-z][a-z0-9._-]*"
)
_VALUE = r"(?:\"[^\"<>]*\"|'[^'<>]*'|[“”][^“”<>]*[“”]|[^\s\"'<>=]+)"
_ATTRIBUTES = rf"(?:\s+(?:[a-z_][a-z0-9_:.-]*\s*=\s*{_VALUE}|nowrap|noshade|compact))*"
_HIDDEN = r"(?is)<!--.*?-->|<!doctype[^<>]*>|<\?xml[^<>]*>" + "".join(
    rf"|<{name}\b[^<>]*>.*?</{name}\s*>" for name in ("script", "style", "ix:header", "ix:hidden")
)
# A section that was cut out by position can begin or end inside a tag.
_CUT_END = (
    rf"(?i)<(?:{_BLOCKS}|{_LINES}|{_CELLS}|{_INLINE})\s+[a-z_:.-]+\s*=\s*[\"'][^<>\n]{{0,200}}$"
)
_CUT_START = r"""(?i)^[a-z_:;.\s0-9"'=%#,()-]{0,400}["']\s*/?>"""
_LEFT = (
    rf"(?i)</?(?:ix|xbrli?|us-gaap):|<(?:{_BLOCKS}|{_INLINE})\s+(?:style|class|align|href"
    r"|face|size|id)\s*="
)


def removed(text: pl.Expr) -> pl.Expr:
    """Return the text without tags, comments, scripts and styles."""
    return (
        text.str.replace_all(_HIDDEN, "\n\n")
        .str.replace_all(_tag(_BLOCKS), "\n\n")
        .str.replace_all(_tag(_LINES), "\n")
        .str.replace_all(_tag(_CELLS), " ")
        .str.replace_all(_tag(_INLINE), "")
        .str.replace(_CUT_END, "")
        .str.replace(_CUT_START, "")
    )


def left(text: pl.Expr) -> pl.Expr:
    """Return whether a tag remains that `removed` could not read."""
    return text.str.contains(_LEFT)


def _tag(names: str) -> str:
    return rf"(?i)</?(?:{names}){_ATTRIBUTES}\s*/?>"
