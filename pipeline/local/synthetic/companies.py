"""Invented companies: their names and sectors, and the layout of their annual reports."""

from dataclasses import dataclass

from pipeline.local.synthetic.company_names import FIRST_NAMES, FORMS, STATES
from pipeline.local.synthetic.draw import Draw
from pipeline.local.synthetic.sectors import SECTORS, Sector

# The style of headings, and the share of companies that use it.
STANDING, RUN_IN, TITLE_CASE, CAPITALS, BARE = (
    "standing",
    "run_in",
    "title_case",
    "capitals",
    "bare",
)
TOPIC, NUMBERED, BULLETED, TWO_LEVEL = "topic", "numbered", "bulleted", "two_level"
HEADING_STYLES = (
    (STANDING, 0.42),
    (RUN_IN, 0.20),
    (TITLE_CASE, 0.07),
    (CAPITALS, 0.03),
    (BARE, 0.04),
    (TOPIC, 0.05),
    (NUMBERED, 0.07),
    (BULLETED, 0.05),
    (TWO_LEVEL, 0.07),
)
# Risk factors of a section, as quantiles from the fewest to the most; the median is that of real
# filings.
_FACTORS = (10, 17, 24, 31, 37, 42, 46, 51, 57, 64, 74)
_VERBOSITY = (0.65, 0.85, 0.95, 1.05, 1.4)
_FIRST_CIK, _CIK_STEP = 1_900_000, 37


@dataclass(frozen=True)
class Layout:
    """The layout of a company's sections."""

    headings: str
    group_titles: bool
    running_head: bool
    contents_link: bool  # "Table of Contents" at the top of each page
    page_prefix: str
    curly: bool  # quotation marks and apostrophes
    hard_wrapped: bool  # a text file of 78 columns, with blank lines between paragraphs
    bullet: str
    bullet_alone: bool  # the bullet on a separate line, as converted HTML often has it


@dataclass(frozen=True)
class Company:
    """A filer. `factors` is how many risk factors its first filing has, `verbosity` how long they
    are (1 is usual).
    """

    number: int
    name: str
    short_name: str
    cik: int
    sector: Sector
    sic: int
    state: str
    year_end: str  # MM-DD
    agent: int  # the first ten digits of its accession numbers: its own CIK, or a filing agent's
    factors: int
    verbosity: float
    layout: Layout


def founded(draw: Draw, number: int) -> Company:
    """The company with this number; names repeat after some ten thousand companies, CIKs do not."""
    sector = SECTORS[number % len(SECTORS)] if number < len(SECTORS) else draw.of(SECTORS)
    stem = f"{draw.of(FIRST_NAMES)} {draw.of(sector.names)}"
    cik = _FIRST_CIK + number * _CIK_STEP
    return Company(
        number,
        name=f"{stem} {draw.of(FORMS)}".upper(),
        short_name=stem,
        cik=cik,
        sector=sector,
        sic=draw.of(sector.sics),
        state=draw.of(STATES),
        year_end=draw.weighted((("12-31", 0.7), ("06-30", 0.1), ("09-30", 0.12), ("01-31", 0.08))),
        agent=cik if draw.chance(0.4) else 9_990_000 + draw.whole(0, 40),
        factors=round(draw.along(_FACTORS)),
        verbosity=draw.along(_VERBOSITY),
        layout=_layout(draw),
    )


def _layout(draw: Draw) -> Layout:
    return Layout(
        headings=draw.weighted(HEADING_STYLES),
        group_titles=draw.chance(0.65),
        running_head=draw.chance(0.2),
        contents_link=draw.chance(0.5),
        page_prefix=draw.weighted((("", 0.85), ("Page ", 0.08), ("A-", 0.07))),
        curly=draw.chance(0.7),
        hard_wrapped=draw.chance(0.04),
        bullet=draw.of(("•", "•", "•", "*", "-", "·")),
        bullet_alone=draw.chance(0.35),
    )
