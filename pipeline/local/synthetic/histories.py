"""The filings of a company over the years: annual reports that repeat each other, quarterly ones,
and filings without a section.

for filing in filings(seed=7, number=12): filing.fields, filing.factors
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.local.synthetic import notices, sections
from pipeline.local.synthetic.companies import Company, founded
from pipeline.local.synthetic.draw import Draw
from pipeline.local.synthetic.risk_factors import RiskFactor, revised, written
from pipeline.local.synthetic.topics import GROUPS, TOPICS

_LAST_YEAR = 2025
_YEARS = (2, 5)  # annual reports of one company
_DROPPED, _ADDED = 0.1, 0.12  # of a section's risk factors, from one year to the next
_TWINS = 0.03  # companies whose subsidiary files the same report under its own CIK
_QUARTERLY, _AMENDED, _TWICE = 0.12, 0.04, 0.015  # of the annual reports
_FILES_PER_COMPANY = 40  # at most; keeps accession numbers apart


@dataclass(frozen=True)
class Filing:
    """EDGAR-CRAWLER's fields, and the generator's own data: the risk factors, and the reason to
    reject the filing.
    """

    fields: dict[str, str]
    headings: str  # the style of the company's headings
    factors: tuple[RiskFactor, ...] = ()
    without: str = ""  # "" for a section with new text; else the kind of `notices`, or "duplicate"


def filings(*, seed: int, number: int) -> Iterator[Filing]:
    """Everything that the company with this number has filed, oldest first."""
    draw = Draw("filings", seed, number)
    company = founded(draw, number)
    kind = draw.weighted(notices.KINDS)
    papers = _Papers(draw, company)
    if kind == notices.REPORTS:
        yield from _reports(draw, company, papers)
    else:
        years = draw.whole(*_YEARS) - 1
        first = draw.whole(*notices.PERIODS[kind]) - years
        for year in range(first, first + years):
            section = notices.section(draw, kind)
            yield Filing(papers.annual(year, section), company.layout.headings, without=kind)


def _reports(draw: Draw, company: Company, papers: "_Papers") -> Iterator[Filing]:
    years = draw.whole(*_YEARS)
    first = draw.whole(2006, _LAST_YEAR - years)
    subsidiary = (
        replace(company, name=_subsidiary(company), cik=company.cik + 1)
        if draw.chance(_TWINS)
        else None
    )
    factors = _ordered(
        [
            written(draw, topic, company)
            for topic in draw.some(TOPICS, min(company.factors, len(TOPICS)))
        ]
    )
    for year in range(first, first + years):
        section = sections.text(draw, company, factors, year)
        report = Filing(papers.annual(year, section), company.layout.headings, tuple(factors))
        yield report
        if subsidiary:
            yield _duplicate(report, **_names(subsidiary, report.fields["filename"]))
        if draw.chance(_AMENDED):
            yield _duplicate(report, **papers.amendment(year))
        if draw.chance(_TWICE):
            yield _duplicate(report)
        if draw.chance(_QUARTERLY):
            yield _quarterly(draw, company, factors, papers=papers, year=year)
        factors = _a_year_later(draw, company, factors)


def _a_year_later(draw: Draw, company: Company, factors: list[RiskFactor]) -> list[RiskFactor]:
    carried = [revised(draw, factor) for factor in factors if not draw.chance(_DROPPED)]
    used = {factor.topic for factor in carried}
    free = [topic for topic in TOPICS if topic not in used]
    new = draw.some(free, min(round(_ADDED * len(factors)), len(free)))
    return _ordered([*carried, *(written(draw, topic, company) for topic in new)])


def _ordered(factors: list[RiskFactor]) -> list[RiskFactor]:
    return sorted(factors, key=lambda factor: GROUPS.index(factor.topic.group))


def _quarterly(
    draw: Draw, company: Company, factors: list[RiskFactor], *, papers: "_Papers", year: int
) -> Filing:
    """The first quarter after an annual report: nothing new, or some of its risk factors brought up
    to date with new ones.
    """
    if draw.chance(0.5):
        section = notices.section(draw, notices.NO_CHANGES)
        return Filing(
            papers.quarterly(year + 1, section), company.layout.headings, without=notices.NO_CHANGES
        )
    shown = _ordered(draw.some(factors, min(len(factors), draw.whole(3, 8))))
    updated = _a_year_later(draw, company, [revised(draw, factor) for factor in shown])
    section = sections.text(draw, company, updated, year + 1, quarterly=True)
    return Filing(papers.quarterly(year + 1, section), company.layout.headings, tuple(updated))


def _duplicate(report: Filing, **changed: str) -> Filing:
    return replace(report, fields=report.fields | changed, without="duplicate")


def _subsidiary(company: Company) -> str:
    return f"{company.short_name} Operating Partnership LP".upper()


def _names(company: Company, filename: str) -> dict[str, str]:
    """A co-registrant's fields: the same paper under its own name and CIK."""
    return {
        "cik": str(company.cik),
        "company": company.name,
        "filename": f"{company.cik}_{filename.partition('_')[2]}",
    }


class _Papers:
    """The fields other than the section: forms, dates, accession numbers and file names, each
    number given once.
    """

    def __init__(self, draw: Draw, company: Company) -> None:
        self._draw, self._company = draw, company
        self._filed = 0

    def annual(self, year: int, section: str) -> dict[str, str]:
        """A 10-K for a fiscal year (some were 10-K405 before 2003)."""
        form = "10-K405" if year < 2002 and self._draw.chance(0.3) else "10-K"
        ends = datetime.date.fromisoformat(f"{year}-{self._company.year_end}")
        return self._fields(form, ends, days=self._draw.whole(52, 89)) | {"item_1A": section}

    def amendment(self, year: int) -> dict[str, str]:
        """What differs in a 10-K/A that repeats the whole report."""
        ends = datetime.date.fromisoformat(f"{year}-{self._company.year_end}")
        return self._fields("10-K/A", ends, days=self._draw.whole(100, 170))

    def quarterly(self, year: int, section: str) -> dict[str, str]:
        """A 10-Q for the first quarter of a fiscal year, whose risk factors are in Part II."""
        ends = datetime.date.fromisoformat(
            f"{year - 1}-{self._company.year_end}"
        ) + datetime.timedelta(days=90)
        return self._fields("10-Q", ends, days=self._draw.whole(30, 44)) | {
            "item_1A": "",
            "part_2_item_1A": section,
        }

    def _fields(self, form: str, ends: datetime.date, *, days: int) -> dict[str, str]:
        company, filed = self._company, ends + datetime.timedelta(days=days)
        serial = company.number * _FILES_PER_COMPANY + self._filed
        self._filed += 1
        accession = f"{company.agent:010d}-{filed.year % 100:02d}-{serial % 1_000_000:06d}"
        suffix = "txt" if filed.year < 2001 or company.layout.hard_wrapped else "htm"
        plain_form = form.replace("-", "").replace("/", "")
        return {
            "cik": str(company.cik),
            "company": company.name,
            "filing_type": form,
            "filing_date": filed.isoformat(),
            "period_of_report": ends.isoformat(),
            "sic": str(company.sic),
            "state_of_inc": company.state,
            "filename": f"{company.cik}_{plain_form}_{ends.year}_{accession}.{suffix}",
        }
