"""Is there a risk-factor section to learn from? Every section that is not used says why, in one word.

    reasons(sections)      # row, section text -> row, reason (null: usable), detail

`REASONS` is the whole list; docs/data.md explains each.
"""

import polars as pl

MISSING = "no_risk_factors"
OTHER_SECTION = "other_section"
SMALLER_COMPANY = "smaller_reporting_company"
BY_REFERENCE = "incorporated_by_reference"
NO_CHANGES = "no_material_changes"
TOO_SHORT = "section_too_short"
TOO_LONG = "section_too_long"

SHORTEST_SECTION = 600  # characters; a shorter text holds no heading with a body
# About ten times the longest Item 1A we know of; what is longer is a whole filing that came as one section.
LONGEST_SECTION = 4_000_000  # characters
_SHORT_NOTICE = 2_500  # characters; a section that only says "none" is shorter than this

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
    (MISSING, r"(?is)^\W*(?:not\s+applicable|none|n/a|omitted)\b"),
)


def untitled(text: pl.Expr) -> pl.Expr:
    """The section without its own title ("Item 1A. Risk Factors")."""
    return text.str.strip_chars().str.replace(_TITLE, "").str.replace(_NAMED_RISK, "").str.strip_chars()


def reason(text: pl.Expr) -> pl.Expr:
    """Why this section cannot be used, or null. The first that applies counts."""
    body = untitled(text)
    length = body.str.len_chars()
    tests = [
        (MISSING, body.fill_null("") == ""),
        (TOO_LONG, length > LONGEST_SECTION),
        (OTHER_SECTION, _names_another_section(text)),
        *((name, (length <= _SHORT_NOTICE) & body.str.contains(pattern)) for name, pattern in _NOTICES),
        (TOO_SHORT, length < SHORTEST_SECTION),
    ]
    return pl.coalesce(pl.when(test).then(pl.lit(name)) for name, test in tests)


def _names_another_section(text: pl.Expr) -> pl.Expr:
    """Before 2005 some filings gave the number 1A to something else ("Item 1A. Executive Officers")."""
    rest = text.str.strip_chars().str.replace(_TITLE, "")
    numbered = text.str.strip_chars().str.contains(_TITLE)
    return numbered & rest.str.contains(_OTHER_TITLE) & ~rest.str.slice(0, 200).str.contains(r"(?i)\brisks?\b")
