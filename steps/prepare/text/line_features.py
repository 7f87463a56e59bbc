"""Describe each paragraph of a section by named small numbers: its form, its words, its neighbours.

    described(paragraphs)      # row, paragraph -> the same rows with the columns of SIZES, and more

The heading model (heading_model.py) adds weights of these columns, and of pairs and triples of
them. Only the first sentence of a paragraph is searched for words, so a long body costs little.
"""

from functools import cache
from typing import Final

import polars as pl

from steps.prepare.text import repeated_words
from steps.prepare.text.paragraphs import neighbour
from steps.prepare.text.sentences import SEARCHED, first_sentence

_STOP = r"[.!?][\"'”’)]*$"
_SENTENCE_BREAK = r"[a-z)][.!?][\"'”’)]* +[A-Z]"
_CAPITALS = r"^[^a-z]*[A-Z]{3}[^a-z]*$"
_WORD = r"(?-u:\b)[A-Za-z][A-Za-z'-]{3,}"
_CAPITALIZED = r"(?-u:\b)[A-Z][A-Za-z'-]{3,}"
_NUMBERED = r"^(?:\(?[0-9]{1,2}[.)]|\(?[a-zA-Z][.)]|[IVX]{1,4}\.)\s"
# A sentence that refers to the one before it.
_LEANS = (
    r"(?i-u)^(?:in addition|additionally|however|moreover|furthermore|further\b|also\b"
    r"|as a result|accordingly|therefore|consequently|thus\b|for (?:example|instance)"
    r"|for these reasons|similarly|likewise|nevertheless|finally|in particular|in some"
    r"|to the extent|these |this |those |such |any of |any such|some of |most of |many of |other "
    r"|among other|the following|see |refer to|specifically|as (?:discussed|described)"
    r"|although|while|when |because|since|under |during |on [a-z]+ \d|in (?:[a-z]+ )?(?:19|20)\d\d"
    r"|as of |at [a-z]+ \d|for the (?:year|quarter|fiscal)|historically|currently"
    r"|from time to time|there (?:can be|is) no assurance|it is |they |it |he |she "
    r"|our (?:ability to|[a-z]+ing))"
)
# Facts, references and remarks about the report are not what a heading consists of.
_FACTUAL = (
    r"(?i-u)(?:\$ ?\d|\d ?%|\b(?:19|20)\d\d\b|for example|for instance|such as|we believe"
    r"|we expect|we have |item \d|note \d|approximately|respectively"
    r"|following (?:risk|factor|discussion)|risk factors|described (?:below|above|elsewhere)"
    r"|forward-looking|annual report|10-[kq])"
)
_MODAL = r"(?i-u)\b(?:may|might|could|can|cannot|will|would|must|should)\b"
_BAD = (
    r"(?i-u)\b(?:advers|harm|fail|unable|inabilit|difficult|loss|lose|uncertain|volatil|fluctuat"
    r"|depend|rel(?:y|ies|iance)\b|compet|expos|vulnerab|impair|disrupt|limit|litigat|claim"
    r"|regulat|declin|dilut|challeng|delay|cost|restrict|breach|threat|shortage|suffer|negativ"
    r"|impact|affect|subject to|risk)"
)
_GROUP = (
    r"(?i-u)^(?:[a-z0-9ivx]{1,3}[.)] ?)?(?:general |certain |other |additional |key )?risks? "
    r"(?:factors? )?(?:related|relating|associated|arising|from|pertaining|of|in|to|with|specific"
    r"|concerning|affecting)|risks?(?: factors?)?$"
    r"|^(?:risk factors?|summary of|risk factor summary|cautionary|forward|special note|general$)"
)
# In filings of 68 companies 3 of 3,000 headings match one of these, and 900 other paragraphs.
_BARRED = (
    r"(?i-u)^(?:in addition|however|moreover|furthermore|for example|for instance|as a result"
    r"|additionally|therefore|consequently|accordingly|finally|similarly|likewise|nevertheless),"
    r"|^we (?:also|believe|have also) |following (?:risk|factors)|carefully consider|not the only"
    r"|involves (?:a high degree of |significant |substantial |certain |various |many |numerous )?"
    r"risks?\b|risks? (?:and uncertainties )?described (?:below|above|in this)|forward-looking"
    r"|form 10-[kq]|factors (?:discussed|described)|^(?:see|refer to) |^item [0-9]{1,2}[abc]?\b"
)
_LIST_ITEM = "^• ?[a-z]"
# What the last sentence of a risk factor often comes to, and many headings.
_CLOSING = (
    r"(?i-u)(?:advers|harm|impair|negativ|suffer|declin|fluctuat|los[es]|limit|unable|delay|dilut"
    r"|decreas|reduc|increas|volatil|fail|damage|disrupt|liabilit|penalt|impact|affect)"
)
_CLOSING_CHARACTERS = 120
_FIRST_WORD = r"^[•\s\d().“\"]*([A-Za-z'’-]+)"
_SECOND_WORD = r"^[•\s\d().“\"]*[A-Za-z'’-]+ ([A-Za-z'’-]+)"
_LAST_WORD = r"([A-Za-z]+)[^A-Za-z]*$"

BULLET, LOWER, COLON, COMMA, GROUP, CAPITALS, TITLE_CASE, BARE = range(8)
BRIEF, SENTENCE, TWO_SENTENCES, SHORT_PARAGRAPH, PARAGRAPH, EDGE = range(8, 14)

_EDGES: Final = {
    "unit_length": (15, 25, 40, 60, 85, 110, 150, 200, 260, 330, 420, 550),
    "length": (25, 60, 110, 160, 220, 300, 420, 600, 900),
    "rest": (0, 60, 120, 250, 500, 1000),
    "breaks": (0, 1, 2),
    "ratio": (1, 3, 4, 7, 15, 40),
    "length_before": (60, 160, 300, 600),
    "overlap": (0, 10, 25, 40, 55, 70),
    "overlap_before": (0, 10, 25, 40, 55, 70),
}
# Columns that are counted first and put into bins at the end.
_BELOW = ("ratio", "length_before", "overlap", "overlap_before")
# The number of values of each column; the values are 0, 1, ….
SIZES: Final[dict[str, int]] = {
    **{name: len(edges) + 1 for name, edges in _EDGES.items()},
    **dict.fromkeys(("shape", "shape_1", "shape_2", "shape_11", "shape_22"), EDGE + 1),
    **dict.fromkeys(("form", "unit_form"), 27),
    **dict.fromkeys(("leans", "factual", "modal", "bad", "risk", "group"), 2),
    **dict.fromkeys(("closing", "closing_before", "leans_below"), 2),
}
# Sums of these are what the first pass adds: columns, pairs and triples.
TERMS: Final[tuple[tuple[str, ...], ...]] = (
    ("unit_length", "breaks"), ("length",), ("rest",), ("form",), ("unit_form", "rest"), ("shape",),
    ("shape", "shape_1"), ("shape", "shape_2"), ("shape_1", "shape", "shape_2"),
    ("shape_11",), ("shape_22",), ("shape", "leans_below"), ("shape", "ratio"),
    ("shape", "length_before"), ("leans", "shape"), ("factual", "shape"), ("modal", "shape"),
    ("bad", "shape"), ("risk", "shape"), ("group", "shape"), ("leans", "rest"), ("factual", "rest"),
    ("modal", "rest"), ("bad", "rest"), ("form", "unit_length"), ("overlap", "shape"),
    ("overlap_before", "shape"), ("overlap", "rest"), ("overlap_before", "rest"),
    ("overlap", "overlap_before"), ("closing", "shape"), ("closing_before", "shape"),
    ("closing_before", "rest"), ("shape", "closing", "closing_before"),
    ("shape", "overlap", "closing_before"), ("shape", "leans", "factual", "modal", "bad"),
    ("unit_length", "overlap"), ("unit_length", "closing", "modal"),
    ("rest", "leans", "factual", "modal", "bad"),
    ("rest", "overlap", "overlap_before"), ("rest", "closing_before", "leans_below"),
)  # fmt: skip
WORDS: Final = ("first_word", "first_words", "last_word", "word_below")


def described(paragraphs: pl.DataFrame) -> pl.DataFrame:
    """Return the paragraphs with `first`, the columns of `SIZES` and those of `WORDS`."""
    own = _alone(paragraphs.select("paragraph").unique())
    whole = paragraphs.join(own, on="paragraph", how="left", maintain_order="left")
    return _with_neighbours(whole)


def _alone(lines: pl.DataFrame) -> pl.DataFrame:
    """Describe distinct paragraphs; half of a company's are in its filing of the next year too."""
    line = pl.col("paragraph")
    own = lines.with_columns(first=first_sentence(), characters=line.str.len_chars())
    own = own.with_columns(unit=pl.coalesce("first", line).str.slice(0, SEARCHED))
    own = own.with_columns(**_counted(), **_found(), **repeated_words.stems())
    own = own.with_columns(
        binned(name, _EDGES[name]) for name in ("rest", "breaks", "length", "unit_length")
    )
    return own.with_columns(
        shape=_shape(), form=_form("stop", "colon"), unit_form=_form("", "lead")
    )


@cache
def barred() -> pl.Expr:
    """Return whether a paragraph heads nothing: a notice, a link, an item's title or a list's."""
    return pl.col("unit").str.contains(_BARRED) | pl.col("paragraph").str.contains(_LIST_ITEM)


@cache
def binned(name: str, edges: tuple[int, ...]) -> pl.Expr:
    """Return how many of the edges are below a column's value, as that column."""
    ordered = pl.lit(pl.Series(edges, dtype=pl.Int64))
    found = ordered.search_sorted(pl.col(name).cast(pl.Int64), side="left")
    return found.cast(pl.Int32).alias(name)


@cache
def _counted() -> dict[str, pl.Expr]:
    line, unit = pl.col("paragraph"), pl.col("unit")
    words, capitalized = unit.str.count_matches(_WORD), unit.str.count_matches(_CAPITALIZED)
    breaks = line.str.slice(0, SEARCHED).str.count_matches(_SENTENCE_BREAK)
    rest = (pl.col("characters").cast(pl.Int32) - pl.col("first").str.len_chars()).fill_null(0)
    return {
        "sentence_breaks": breaks,
        "rest": rest,
        "breaks": breaks,
        "length": pl.col("characters"),
        "unit_length": unit.str.len_chars(),
        "capitals": unit.str.contains(_CAPITALS),
        "title_case": (capitalized * 5 >= words * 4) & (words >= 1),
    }


@cache
def _found() -> dict[str, pl.Expr]:
    line, unit = pl.col("paragraph"), pl.col("unit")
    tests = {
        "bullet": line.str.starts_with("•"),
        "number": line.str.contains(_NUMBERED),
        "lower": line.str.contains("^[a-z]"),
        "stop": line.str.contains(_STOP),
        "colon": line.str.ends_with(":"),
        "comma": line.str.contains(r"[;,]$|; (?:and|or)$"),
        "lead": unit.str.ends_with(":"),
    }
    words = {
        "leans": unit.str.contains(_LEANS),
        "factual": unit.str.contains(_FACTUAL),
        "modal": unit.str.contains(_MODAL),
        "bad": unit.str.contains(_BAD),
        "risk": unit.str.contains(r"(?i-u)\brisks?\b"),
        "closing": line.str.slice(-_CLOSING_CHARACTERS).str.contains(_CLOSING),
        "group": line.str.slice(0, 300).str.contains(_GROUP),
    }
    first = unit.str.extract(_FIRST_WORD).str.to_lowercase().fill_null("")
    second = unit.str.extract(_SECOND_WORD).str.to_lowercase().fill_null("")
    named = {
        "first_word": first,
        "first_words": first + " " + second,
        "last_word": unit.str.extract(_LAST_WORD).str.to_lowercase().fill_null(""),
    }
    return tests | {name: test.cast(pl.Int32) for name, test in words.items()} | named


@cache
def _shape() -> pl.Expr:
    """Return the kind of line, from its punctuation, its letters and its length."""
    length, breaks = pl.col("characters"), pl.col("sentence_breaks")
    bare = ~pl.col("stop") & (length <= 130)
    return (
        pl.when("bullet").then(BULLET).when("lower").then(LOWER)
        .when("colon").then(COLON).when("comma").then(COMMA)
        .when(bare & (pl.col("group") == 1)).then(GROUP)
        .when(bare & pl.col("capitals")).then(CAPITALS)
        .when(bare & pl.col("title_case")).then(TITLE_CASE).when(bare).then(BARE)
        .when((breaks == 0) & (length <= 60)).then(BRIEF)
        .when((breaks == 0) & (length <= 450)).then(SENTENCE)
        .when((breaks <= 1) & (length <= 500)).then(TWO_SENTENCES)
        .when(length <= 450).then(SHORT_PARAGRAPH).otherwise(PARAGRAPH)
        .cast(pl.Int32)
    )  # fmt: skip


def _form(stop: str, colon: str) -> pl.Expr:
    """Return case (3), ending (3) and what precedes the words (3) as one number."""
    case = pl.when("capitals").then(2).when("title_case").then(1).otherwise(0)
    colons = pl.when(colon).then(2)
    ending = colons.when(stop).then(1).otherwise(0) if stop else colons.otherwise(1)
    mark = pl.when("number").then(2).when("bullet").then(1).otherwise(0)
    return (case * 9 + ending * 3 + mark).cast(pl.Int32)


def _with_neighbours(own: pl.DataFrame) -> pl.DataFrame:
    def near(name: str, distance: int, missing: int) -> pl.Expr:
        return neighbour(pl.col(name), distance).fill_null(missing)

    whole = own.with_columns(
        shape_1=near("shape", 1, EDGE),
        shape_2=near("shape", -1, EDGE),
        shape_11=near("shape", 2, EDGE),
        shape_22=near("shape", -2, EDGE),
        closing_before=near("closing", 1, 0),
        word_below=neighbour(pl.col("first_word"), -1).fill_null(""),
        leans_below=near("leans", -1, 0),
        ratio=near("characters", -1, 0) * 4 // (pl.col("characters") + 1),
        length_before=near("characters", 1, 0),
    )
    whole = repeated_words.compared(whole)
    return whole.with_columns(binned(name, _EDGES[name]) for name in _BELOW)
