"""Decide whether a section can be used; an unusable section has a one-word reason.

    reason(pl.col("text"))      # an expression: the first reason against the section, or null

A notice ("not applicable", "no material changes", "see our annual report") is a reason only where
nothing but the notice is there. What follows "except as set forth below" is a risk factor.
docs/data.md explains each reason.
"""

import polars as pl

from steps.prepare.text import markup

MISSING = "no_risk_factors"
OTHER_SECTION = "other_section"
SMALLER_COMPANY = "smaller_reporting_company"
BY_REFERENCE = "incorporated_by_reference"
NO_CHANGES = "no_material_changes"
TOO_SHORT = "section_too_short"
TOO_LONG = "section_too_long"
MARKUP_LEFT = "markup_left"

# Characters; a shorter text holds no heading (30 in risk_factors.py) with a body (200 in
# examples.py). Those two judge the rest.
SHORTEST_SECTION = 230
# About ten times the longest known Item 1A; a longer text is a whole filing that came as one
# section.
LONGEST_SECTION = 4_000_000  # characters
_LONGEST_NOTICE = 2_500  # characters; a section that consists of a notice is shorter than this
_LONGEST_REST = 300  # characters; a section with more text than its notice has risk factors

_TITLE = r"(?i)^\W*(?:part\s+[iv]+\W+)?item\s*1a\b[\s.:–—-]*"
_NAMED_RISK = r"(?i)^[^a-z]*risk\s*factors?\b[\s.:–—-]*"
_OTHER_TITLE = r"^[A-Z][^.\n]{3,80}(?:\n|$)"
_NOTICES = (
    (
        SMALLER_COMPANY,
        (
            r"(?is)smaller\s+reporting\s+compan(?:y|ies).{0,400}not\s+(?:required|applicable)"
            r"|not\s+required.{0,200}smaller\s+reporting"
        ),
    ),
    (
        NO_CHANGES,
        (
            r"(?is)\b(?:no|not\s+been\s+any|not\s+any)\s+material\s+(?:changes?|updates?)"
            r"|not\s+(?:materially\s+)?changed\s+materially"
        ),
    ),
    (
        BY_REFERENCE,
        (
            r"(?is)incorporated\s+(?:herein\s+)?by\s+reference|see\s+[“\"]?risk\s+factors"
            r"|set\s+forth\s+under\s+the\s+(?:caption|heading)"
        ),
    ),
    (
        MISSING,
        (
            r"(?is)^\W*(?:not\s+applicable|none|n/a|omitted)(?:\W*$|\s*[.;,:\n]"
            r"|\s+(?:to|for|as|at|because|since)\b)"
        ),
    ),
)
# What a notice consists of: its own sentences, and those that lead to it ("The risks described in
# our Form 10-K are not …").
_NOTICE_SENTENCE = (
    r"(?i)[^.!?\n]*(?:not\s+applicable|^\W*none\b|\bn/a\b|not\s+required"
    r"|not\s+(?:required|obligated)\s+to\s+provide"
    r"|smaller\s+reporting|material(?:ly)?\s+(?:changes?|changed|updates?)|by\s+reference"
    r"|risk\s+factors|item\s+1a\b|10-[kq]\b"
    r"|(?:annual|quarterly|this)\s+report|report\s+to\s+(?:share|stock)holders"
    r"|(?:caption|heading)s?\b"
    r"|only\s+risks|(?:currently|presently)\s+(?:un)?known|not\s+(?:currently|presently)"
    "|immaterial|forward-looking"
    r"|carefully\s+consider)[^.!?\n]*[.!?]?"
)


def untitled(text: pl.Expr) -> pl.Expr:
    """Return the section without its own title ("Item 1A. Risk Factors")."""
    return (
        text.str.strip_chars()
        .str.replace(_TITLE, "")
        .str.replace(_NAMED_RISK, "")
        .str.strip_chars()
    )


def reason(text: pl.Expr) -> pl.Expr:
    """Return why this section cannot be used, or null.

    The first reason that applies counts. The text must be cleaned and end with Item 1A.
    """
    return text.map_batches(_reasons, return_dtype=pl.String)


def _reasons(texts: pl.Series) -> pl.Series:
    """Return the reason of each text; what several tests need is a column, made once."""
    text, body, short = pl.col("text"), pl.col("body"), pl.col("short")
    length = body.str.len_chars()
    # A longer text is not a notice and is not searched.
    found = texts.to_frame("text").with_columns(body=untitled(text)).with_columns(
        short=pl.when(length <= _LONGEST_NOTICE).then(body).otherwise(pl.lit(""))
    )  # fmt: skip
    tests = [
        (MISSING, body.fill_null("") == ""),
        (TOO_LONG, length > LONGEST_SECTION),
        (MARKUP_LEFT, markup.left(body)),
        (OTHER_SECTION, _names_another_section(text)),
        *((name, short.str.contains(pattern) & _is_notice(short)) for name, pattern in _NOTICES),
        (TOO_SHORT, length < SHORTEST_SECTION),
    ]
    first = pl.coalesce(pl.when(test).then(pl.lit(name)) for name, test in tests)
    return found.select(first).to_series()


def _is_notice(body: pl.Expr) -> pl.Expr:
    """Return whether hardly any text remains without the sentences of a notice."""
    rest = body.str.replace_all(_NOTICE_SENTENCE, "").str.replace_all(r"\s+", " ").str.len_chars()
    return rest <= _LONGEST_REST


def _names_another_section(text: pl.Expr) -> pl.Expr:
    """Return whether Item 1A is another section ("Item 1A. Executive Officers").

    Some filings before 2005 used the number 1A for other sections.
    """
    rest = text.str.strip_chars().str.replace(_TITLE, "")
    numbered = text.str.strip_chars().str.contains(_TITLE)
    return (
        numbered
        & rest.str.contains(_OTHER_TITLE)
        & ~rest.str.slice(0, 200).str.contains(r"(?i)\brisks?\b")
    )
