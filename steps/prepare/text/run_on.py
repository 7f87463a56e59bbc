"""Cut sections that run on: an extraction can miss the next item's title and append Items 1B to 3.

    ended(texts)        # pl.Series of section texts -> pl.DataFrame with `text` and `left_out`

`left_out` is null if nothing was cut. The section ends where the next item's title has its own line
or begins a sentence. A sentence that refers to "Item 2" does not end it, nor does a table of
contents at the section's start. The texts must be cleaned (characters.py) and unwrapped
(wrapped.py).
"""

from functools import reduce
from operator import or_

import polars as pl

_LABEL = r"i ?tems?\s*(?:no\.?\s*|#\s*)?"
_NUMBER = (
    r"(?:1\s*(?:and|&|,)\s*2\b|1\s*[-(.]?\s*[bcd]\b\)?"
    r"|i{2,3}\b|iv\b|[2-9](?:\s*\(?[abc]\b\)?|\b)|1[0-6]\b)"
    r"(?:\s*(?:and|&|,)\s*\d{1,2}[abc]?\b)*"
)
_PART = r"(?:part\s+(?:i{1,3}|iv)\b[\s.,:–—-]*)?"
_LEAD = r"[ *#|\[(•–—-]*"  # a quotation mark before a title makes a reference of it
_TITLES = (
    r"unresolved\s+(?:sec\s+)?(?:staff\s+)?comments?(?:\s+from\s+(?:the\s+)?(?:sec\s+)?staff)?",
    (
        r"cyber\s?-?security(?:\s+(?:risk\s+management|disclosures?)"
        r"(?:,?\s+strategy)?(?:,?\s+and\s+governance)?)?"
    ),
    r"(?:description\s+of\s+|business\s+and\s+|our\s+)?(?:real\s+)?propert(?:y|ies)|real\s+estate",
    r"legal\s+(?:proceedings?|matters)",
    r"mine\s+safety(?:\s+disclosures?)?",
    r"\W?\s*(?:removed\s+and\s+)?reserved\b\W?|removed\b",
    (
        r"(?:unregistered\s+sales?|changes\s+in\s+securities|issuer\s+purchases"
        r"|purchases\s+of\s+equity)\b[^.\n]{0,120}"
    ),
    r"defaults?\s+(?:up)?on\s+senior\s+securities",
    r"submission\s+of\s+matters\b[^.\n]{0,80}",
    r"executive\s+officers\b[^.\n]{0,60}",
    r"market\s+for\b[^.\n]{0,200}",
    r"other\s+(?:information|events)",
    r"exhibits?\b[^.\n]{0,60}",
    r"(?:selected|summary)\s+(?:\w+\s+){0,2}financial\b[^.\n]{0,60}",
    r"management[’'`]?s\s+discussion\b[^.\n]{0,120}",
    r"quantitative\s+and\s+qualitative\b[^.\n]{0,60}",
    r"(?:consolidated\s+)?financial\s+statements\b[^.\n]{0,80}",
    r"controls\s+and\s+procedures|executive\s+compensation",
    r"signatures?\s*\n\s*(?-i:Pursuant|PURSUANT)\b",
    r"changes\s+in\s+and\s+disagreements\b[^.\n]{0,120}|directors\b[^.\n]{0,80}",
)
_TITLE = "(?:" + "|".join(_TITLES) + r")"
_SEPARATOR = r"[\s.:;–—)\]|-]*"

# An item's title; each text with one behind a sentence has it.
_ITEM = r"(?:Item|ITEM)[Ss]?\s*(?:1\s*[(-]?[BCDbcd]|[2-9]|1[0-6])"
# Quick tests that select the texts for the full search, each a separate and cheap pattern: a line
# that begins with an item, the one title that needs no number, and an item at the very start.
_MAY_RUN_ON = (
    r"(?i)\n[^a-z0-9]*(?:part\s+[iv]+[^a-z0-9]*)?i ?tem",
    r"(?i)unresolved\s+staff",
    (
        r"(?i)\n[^a-z0-9]*(?:signatures?\s*\n|1c\b"
        r"|[2-6]\.\s*(?:propert|description|legal|mine|unregistered|defaults))"
    ),
    rf"(?i)^[^a-z0-9]*{_LABEL}{_NUMBER}",
)
_BEHIND_A_SENTENCE = rf"[.!?][\"”’)]* *(?:(?i:part) [IVX]+[^A-Za-z0-9]*)?{_ITEM}"
_MARK = "\x1e"  # repaired text has no control characters
# Titles without the word "Item" that hardly occur as other text, each as a whole line.
_NUMBER_ONLY = (
    rf"^{_LEAD}(?:1\s?b\b\W{{1,4}}unresolved\s+staff\s+comments"
    rf"|1\s?c\b\W{{1,4}}cyber\s?-?security\W*$"
    r"|[2-6]\.\s*(?:(?:description\s+of\s+)?propert(?:y|ies)|legal\s+proceedings"
    r"|mine\s+safety\s+disclosures"
    r"|unregistered\s+sales[^.\n]{0,120}|defaults\s+upon\s+senior\s+securities)\W*$)"
)
_OWN_LINE = (
    rf"(?im)^{_LEAD}{_PART}{_LABEL}(?:1\s*\(?a\b|{_NUMBER})|{_NUMBER_ONLY}"
    rf"|^{_LEAD}signatures?\s*\n\s*pursuant\b"
    rf"|^{_LEAD}unresolved\s+staff\s+comments\W*(?:(?:none|not\s+applicable|n/a)\W*)?$"
)
# At the end of a line of text: behind a whole sentence, with the title's own words.
_TITLE_BELOW = rf"(?i)({_LABEL}{_NUMBER}[\s.:–—-]*){_MARK}"
# The sentence ends in a word, a number or a bracket; with a single letter it may be a reference
# ("Part I. Item 3").
_SENTENCE_END = r"(?:[A-Za-z0-9)\]%]{2}|\.[A-Z]|[ $(][0-9])[.!?][\"”’)]* *"
_IN_LINE = (
    rf"(?m)({_SENTENCE_END})((?i:{_PART})(?:Item|ITEM)[Ss]?(?i:\s*{_NUMBER}[\s.:–—-]+{_TITLE}))"
)

_NUMBERED = rf"(?i)^{_LEAD}{_PART}{_LABEL}{_NUMBER}{_SEPARATOR}"
_FIRST_ITEM = rf"(?i)^{_LEAD}{_PART}{_LABEL}1\s*\(?a\b"
_TITLED = rf"(?i)^{_LEAD}(?:{_PART}(?:{_LABEL})?{_NUMBER}{_SEPARATOR})?{_TITLE}"
_SHORT_LINE = (
    rf"(?i)^{_LEAD}{_PART}{_LABEL}{_NUMBER}{_SEPARATOR}(?-i:[A-Z][^\n.;,]{{0,80}}?(?:\n|$))"
)
_BARE = rf"(?i)^{_LEAD}{_PART}{_LABEL}{_NUMBER}{_SEPARATOR}(?:none|not\s+applicable|n/a)\b"
_LIST_BEGINS = r"(?m)^\W*1[.)]\s"  # a list of the author's own
_NOTHING = r"(?i)^[\s.:;,–—)(\]-]*(?:none|not\s+applicable|n/a)\s*(?:[.;)\n]|$)"
_GOES_ON = r"^[\s.:–—\])-]*[a-z,;’”\"']"
_EMPTY = r"^\W*$"
_PAGE = r"^[\s.:–—\])-]*\d{1,3}\s*(?:\n|$)"
_VERB = (
    r"(?i)\b(?:contains?|includes?|describes?|discusses|discussed|provides?|is|are|was"
    r"|were|will|may|see|this|above|below)\b"
)
_FURNITURE_TAIL = (
    r"(?i)(?:(?:^|\n)\s*(?:part\s+[iv]+\.?|\W*\d{1,3}\W*|table of contents|other information))+\s*$"
)
_SENTENCE_TAIL = r"[.!?:;•][\"'”’)]*\s*$"
_REFERRING_TAIL = (
    r"(?i)(?:\b(?:in|see|under|and|or|of|to|with|by|from|the|both|at|our|this|that|is|entitled"
    "|captioned|headings?|captions?"
    r"|refer(?:red)?|part\s+[iv]+\.?|items?\s+\d+[abc]?\.?|(?:cf|vs|sec|incl)\.)"
    r"|[,“‘(;\"])[\s,“‘(\"]*$"
)
_LETTERS_LEFT = r"(?i)^[\s\d.:;–—-]*(?:part\s+[iv]+\W*)?$"

_CONTENTS_WITHIN = 3_000  # characters from the section's start
_CONTENTS_ENTRIES = 3  # item titles in a row, with no text between them
_SHOWN = 60  # characters of the title in `left_out`


def ended(texts: pl.Series) -> pl.DataFrame:
    """Return each text up to the next item's title, and a description of the rest."""
    whole = pl.DataFrame(
        {"text": texts, "left_out": pl.Series([None] * len(texts), dtype=pl.String)}
    )
    may = reduce(or_, (texts.str.contains(pattern) for pattern in _MAY_RUN_ON))
    rows = (may | _behind_a_sentence(texts)).fill_null(value=False).arg_true()
    marked = texts.gather(rows).str.replace_all(_IN_LINE, f"${{1}}{_MARK}${{2}}")
    marked = marked.str.replace_all(_OWN_LINE, f"{_MARK}$0").str.replace_all(_TITLE_BELOW, "${1}")
    pieces = pl.DataFrame({"row": rows, "piece": marked}).filter(
        pl.col("piece").str.contains(_MARK, literal=True)
    )
    if pieces.is_empty():
        return whole
    cut = _cut(pieces)
    changed = whole.with_row_index("row").join(cut, on="row", how="left", maintain_order="left")
    return changed.select(text=pl.coalesce("text_right", "text"), left_out="left_out_right")


def _behind_a_sentence(texts: pl.Series) -> pl.Series:
    """Return which texts have an item's title behind a sentence; few have a title."""
    found = texts.str.contains(_ITEM)
    rows = found.fill_null(value=False).arg_true()
    return found.scatter(rows, texts.gather(rows).str.contains(_BEHIND_A_SENTENCE))


def _cut(marked: pl.DataFrame) -> pl.DataFrame:
    """Return `row`, `text`, `left_out` of texts whose possible item titles are marked."""
    pieces = marked.with_columns(pl.col("piece").str.split(_MARK)).explode("piece")
    length = pl.col("piece").str.len_chars()
    pieces = pieces.filter(length > 0).with_columns(before=(length.cum_sum() - length).over("row"))
    pieces = pieces.with_columns(title=_is_title())
    text = _with_contents(_from_the_title(pieces))
    ends = pl.col("title") & ~pl.col("contents")
    inside = text.with_columns(after=ends.cum_sum().over("row") > 0)
    return inside.group_by("row", maintain_order=True).agg(
        text=pl.col("piece").filter(~pl.col("after")).str.join(""),
        left_out=_in_words(pl.col("piece").filter(pl.col("after"))),
    )


def _is_title() -> pl.Expr:
    """Return whether a piece begins the next item: by its first line and the text before it."""
    piece, tail = pl.col("piece"), pl.col("piece").shift().over("row").fill_null("")
    tail = tail.str.replace(_FURNITURE_TAIL, "")
    rest = piece.str.replace(_TITLED, "")
    signed = piece.str.contains(rf"(?i)^{_LEAD}signatures?\s*\n")
    nothing = rest.str.contains(_NOTHING)
    titled = (
        piece.str.contains(_TITLED)
        & (nothing | signed | ~rest.str.contains(_GOES_ON))
        & ~(rest.str.contains(_PAGE) & (pl.col("before") < _CONTENTS_WITHIN))
        & ~piece.str.extract(f"({_TITLED})")
        .str.replace(_NUMBERED, "")
        .str.contains(_VERB)
        .fill_null(value=False)
    )
    short = piece.str.extract(f"({_SHORT_LINE})").fill_null("")
    named = (
        (short != "")
        & ~short.str.contains(r"\d\s*$")
        & ~short.str.replace(_NUMBERED, "").str.contains(_VERB)
    )
    ended = tail.str.contains(_SENTENCE_TAIL) | (tail.str.strip_chars() == "")
    bare = piece.str.contains(rf"^{_LEAD}\d")
    in_list = piece.str.contains(_LIST_BEGINS).cum_sum().shift().over("row").fill_null(0) > 0
    titled = titled & (~bare | nothing | (ended & ~in_list))
    # After a fragment of a sentence the title is a reference, unless the item consists of "None."
    # or the next title follows.
    next_title = rest.str.contains(_EMPTY) & titled.shift(-1).over("row").fill_null(value=False)
    return (titled & (nothing | next_title | ~tail.str.contains(_REFERRING_TAIL))) | (
        (named | piece.str.contains(_BARE)) & ended
    )


def _with_contents(pieces: pl.DataFrame) -> pl.DataFrame:
    """Mark `contents`: a list of item titles without text between them, at the section's start."""
    empty = pl.col("title") & pl.col("piece").str.replace(_TITLED, "").str.contains(_LETTERS_LEFT)
    listed = pieces.with_columns(empty=empty).with_columns(
        run=(~pl.col("empty")).cum_sum().over("row")
    )
    listed = listed.with_columns(
        long=pl.col("empty").sum().over("row", "run") >= _CONTENTS_ENTRIES - 1
    )
    last = (pl.col("long") & pl.col("empty")).shift().over("row").fill_null(value=False)
    entry = (pl.col("long") & pl.col("empty")) | last
    return listed.with_columns(
        contents=pl.col("title") & entry & (pl.col("before") < _CONTENTS_WITHIN)
    )


def _from_the_title(pieces: pl.DataFrame) -> pl.DataFrame:
    """Remove a table of contents: item titles before the section's own title."""
    own = pl.col("piece").str.contains(_FIRST_ITEM) & (pl.col("before") < _CONTENTS_WITHIN)
    listed = (pl.col("title").cum_sum().over("row") > 0) & own
    return pieces.filter((listed.cum_sum().over("row") > 0) | ~listed.any().over("row"))


def _in_words(left: pl.Expr) -> pl.Expr:
    """Return the start and the length of what was left out, or null if it is empty.

    For example `Item 1B. Unresolved Staff Comments … (12345 characters)`.
    """
    whole = left.str.join("")
    shown = (
        whole.str.slice(0, 2 * _SHOWN)
        .str.replace_all(r"\s+", " ")
        .str.strip_chars_start()
        .str.slice(0, _SHOWN)
    )
    words = pl.concat_str(
        shown, pl.lit(" … ("), whole.str.len_chars().cast(pl.String), pl.lit(" characters)")
    )
    return pl.when(whole.str.len_chars() > 0).then(words)
