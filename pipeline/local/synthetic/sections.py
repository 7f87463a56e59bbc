"""The text of an Item 1A as in a filing: title, introduction, headings in the company's style,
lists, page headers and footers.

text(draw, company, factors, 2019)
"""

import textwrap
from collections.abc import Iterator, Sequence

from pipeline.local.synthetic import companies
from pipeline.local.synthetic.companies import Company
from pipeline.local.synthetic.draw import Draw
from pipeline.local.synthetic.risk_factors import Paragraph, RiskFactor

_TITLES = (
    "ITEM 1A. RISK FACTORS",
    "Item 1A. Risk Factors",
    "ITEM 1A.\nRISK FACTORS",
    "Item 1A.    Risk Factors.",
    "Item 1A – Risk Factors",
)
_QUARTERLY_TITLES = ("Item 1A. Risk Factors", "ITEM 1A.\nRISK FACTORS")
_INTRODUCTIONS = (
    (
        "You should carefully consider the following risk factors, together with the other "
        "information in this report."
    ),
    (
        "Our business faces many risks. The risks described below may not be the only ones "
        "we face, and others that "
        "we do not know of today may also impair our operations. If any of the events "
        "described below occur, the "
        "price of our common stock could decline."
    ),
    (
        "Set forth below are the risks that we believe are material to investors who buy or "
        "own our securities. This "
        "section should be read with our consolidated financial statements and the notes to them."
    ),
    (
        "The following discussion of risk factors contains statements that may be "
        "forward-looking. It should be read "
        "in conjunction with \"Management's Discussion and Analysis of Financial Condition "
        'and Results of Operations" '
        "in this Form 10-K."
    ),
)
_NOTICES = (
    (
        "This report contains forward-looking statements within the meaning of the federal "
        "securities laws. Words "
        'such as "expect," "plan," "believe" and similar words mark such statements. Actual '
        "results could differ "
        "materially from those expressed in them, and we are not required to update them."
    ),
    (
        "Certain statements in this report are forward-looking statements. They reflect our "
        "views at the time of this "
        "report, and the factors described below, among others, could cause actual results "
        "to differ from what we "
        "expected."
    ),
)
_NEXT_ITEM = "Item 1B. Unresolved Staff Comments\nNone."
_PAGE_CHARACTERS = 4_600
_WRAPPED_COLUMNS = 78
_SMALL_WORDS = frozenset(
    (
        *(
            "a",
            "an",
            "and",
            "as",
            "at",
            "but",
            "by",
            "for",
            "from",
            "in",
            "into",
            "is",
            "of",
            "on",
            "or",
            "our",
            "that",
            "the",
        ),
        *("their", "this", "to", "us", "we", "which", "with"),
    )
)
_CURLY = str.maketrans({"'": "’"})


def text(
    draw: Draw,
    company: Company,
    factors: Sequence[RiskFactor],
    year: int,
    *,
    quarterly: bool = False,
) -> str:
    """The section of one filing."""
    layout = company.layout
    lines = [draw.of(_QUARTERLY_TITLES if quarterly else _TITLES), *_introduction(draw)]
    lines += _factors(company, factors, year)
    if not layout.hard_wrapped:
        lines = list(_paged(draw, company, lines, year))
    if draw.chance(0.03):
        lines.append(_NEXT_ITEM)
    whole = "\n\n".join(map(_wrapped, lines)) if layout.hard_wrapped else "\n".join(lines)
    return _curly(whole) if layout.curly else whole


def _introduction(draw: Draw) -> Iterator[str]:
    if draw.chance(0.3):
        yield draw.of(_NOTICES)
    if draw.chance(0.9):
        yield draw.of(_INTRODUCTIONS)


def _factors(company: Company, factors: Sequence[RiskFactor], year: int) -> Iterator[str]:
    group = title = ""
    for number, factor in enumerate(factors, start=1):
        if company.layout.group_titles and factor.topic.group != group:
            group = factor.topic.group
            yield group
        if company.layout.headings == companies.TWO_LEVEL and factor.topic.title != title:
            title = factor.topic.title
            yield title
        yield from _factor(company, factor, number, year)


def _factor(company: Company, factor: RiskFactor, number: int, year: int) -> Iterator[str]:
    heading, run_in = _heading(company, factor, number)
    paragraphs = [
        line for paragraph in factor.paragraphs(year) for line in _lines(company, paragraph)
    ]
    if run_in:
        paragraphs[0] = f"{heading} {paragraphs[0]}"
    else:
        yield heading
    yield from paragraphs


def _heading(company: Company, factor: RiskFactor, number: int) -> tuple[str, bool]:
    """Return the heading in the company's style, and whether it is on the first line of the
    paragraph instead of a separate line.
    """
    style, heading = company.layout.headings, factor.heading
    if style == companies.RUN_IN:
        return heading, True
    if style == companies.TOPIC:
        return f"{factor.topic.title}.", company.number % 2 == 0
    if style == companies.NUMBERED:
        return (f"{number}. {heading}", f"({number}) {heading}")[company.number % 2], False
    if style == companies.BULLETED:
        return f"{company.layout.bullet} {heading}", False
    if style == companies.TITLE_CASE:
        return _title_case(heading), False
    if style == companies.CAPITALS:
        return heading.upper(), False
    if style == companies.BARE:
        return _title_case(heading).rstrip("."), False
    return heading, False


def _title_case(sentence: str) -> str:
    words = sentence.split(" ")
    return " ".join(word if word in _SMALL_WORDS else word[0].upper() + word[1:] for word in words)


def _lines(company: Company, paragraph: Paragraph) -> Iterator[str]:
    yield " ".join(paragraph.sentences)
    for item in paragraph.items:
        if company.layout.bullet_alone:
            yield company.layout.bullet
            yield item
        else:
            yield f"{company.layout.bullet} {item}"


def _paged(draw: Draw, company: Company, lines: Sequence[str], year: int) -> Iterator[str]:
    """The lines with the foot and head of a page about every `_PAGE_CHARACTERS`; a page may end
    within a sentence.
    """
    page, filled = draw.whole(8, 24), 0
    for line in lines:
        filled += len(line)
        if filled < _PAGE_CHARACTERS:
            yield line
            continue
        page, filled = page + 1, 0
        cut = line.find(" ", len(line) // 2)
        within = cut > 0 and line[cut + 1].islower() and draw.chance(0.4)
        yield line[:cut] if within else line
        yield from _furniture(company, page, year)
        if within:
            yield line[cut + 1 :]


def _furniture(company: Company, page: int, year: int) -> Iterator[str]:
    yield f"{company.layout.page_prefix}{page}"
    if company.layout.contents_link:
        yield "Table of Contents"
    if company.layout.running_head:
        yield f"{company.name} {year} FORM 10-K"


def _wrapped(paragraph: str) -> str:
    return "\n".join(
        textwrap.fill(line, _WRAPPED_COLUMNS, break_on_hyphens=False)
        for line in paragraph.split("\n")
    )


def _curly(text: str) -> str:
    """Quotation marks as typesetters set them: every other one closes."""
    pieces = text.translate(_CURLY).split('"')
    return (
        "".join(piece + "“”"[number % 2] for number, piece in enumerate(pieces[:-1])) + pieces[-1]
    )
