"""What EDGAR has of a company: its name, and its filings of some forms and years.

    cik = number(edgar, "AAPL")                                   # "0000320193"
    company, filings = filings_of(edgar, cik, Wanted({"10-K"}, range(2021, 2024)))

Shapes: `company_tickers.json` has an object of `{"cik_str": 320193, "ticker": "AAPL", …}`;
`submissions/CIK….json` has `name`, `sic`, `stateOfIncorporation` and `filings`: columns of equal
length in `recent`, and the names of further files with the same columns in `files`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pipeline.errors import UsageError
from scripts.fetch_filings.edgar_client import Edgar, NotServed

_COLUMNS = ("accessionNumber", "form", "filingDate", "reportDate", "primaryDocument")
_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DOCUMENT = re.compile(r"\w[\w.+ -]*(/\w[\w.+ -]*)*", re.ASCII)
_MORE = re.compile(r"CIK\d{10}-submissions-\d{3,}\.json")
_FORM = re.compile(r"[A-Z0-9][A-Z0-9/ -]{0,19}")


@dataclass(frozen=True)
class Wanted:
    """Forms as EDGAR names them, and years of the end of the period."""

    forms: Collection[str]
    years: Collection[int]


@dataclass(frozen=True)
class Company:
    """A company as EDGAR names it; `cik` has ten digits."""

    cik: str
    name: str
    sic: str | None
    state: str | None


@dataclass(frozen=True)
class Filing:
    """One filing: `period` is the end of its period, empty where EDGAR does not give it."""

    accession: str
    form: str
    filed: str
    period: str
    document: str

    @property
    def year(self) -> int:
        """The year of the period's end, else of the filing: the `year` that Prepare gives it."""
        return int((self.period or self.filed)[:4])

    def path(self, cik: str) -> str:
        """Return the address of the main document, or of the whole submission if none is named."""
        folder = f"/Archives/edgar/data/{int(cik)}/{self.accession.replace('-', '')}"
        return f"{folder}/{quote(self.document or f'{self.accession}.txt')}"


def number(edgar: Edgar, company: str) -> str:
    """Return the ten digits of a CIK, or of the CIK of a ticker.

    Raises:
        UsageError: EDGAR lists no such ticker.
    """
    if re.fullmatch(r"\d{1,10}", company):
        return company.zfill(10)
    ticker = company.upper().replace(".", "-")
    path = "/files/company_tickers.json"
    listed = edgar.json("www", path)
    for entry in listed.values() if isinstance(listed, dict) else ():
        if _of(entry, "ticker", path) == ticker:
            return str(_of(entry, "cik_str", path)).zfill(10)
    raise UsageError(
        f"EDGAR lists no company with the ticker {ticker!r}\n"
        "  do        give the CIK, which https://www.sec.gov/edgar/search finds by name"
    )


def filings_of(edgar: Edgar, cik: str, wanted: Wanted) -> tuple[Company, list[Filing]]:
    """Return the company and its wanted filings, oldest first."""
    path = f"/submissions/CIK{cik}.json"
    document = edgar.json("data", path)
    listed = _of(document, "filings", path)
    company = Company(
        cik,
        str(_of(document, "name", path)),
        _text(document.get("sic")),
        _text(document.get("stateOfIncorporation")),
    )
    found = {each.accession: each for each in _filings(_of(listed, "recent", path), path)}
    for more in _of(listed, "files", path):
        if _ends_before(more, wanted):
            continue
        name = str(_of(more, "name", path))
        if not _MORE.fullmatch(name):
            raise NotServed(f"{path} names a file of another form: {name[:100]!r}")
        older = f"/submissions/{name}"
        found |= {each.accession: each for each in _filings(edgar.json("data", older), older)}
    chosen = (
        each for each in found.values() if each.form in wanted.forms and each.year in wanted.years
    )
    return company, sorted(chosen, key=lambda each: (each.filed, each.accession))


def _ends_before(more: Any, wanted: Wanted) -> bool:
    """Return whether a file ends before the wanted years: nothing is filed before its period."""
    last = more.get("filingTo") if isinstance(more, dict) else None
    return (
        isinstance(last, str) and bool(_DAY.fullmatch(last)) and int(last[:4]) < min(wanted.years)
    )


def _filings(columns: Any, path: str) -> Iterator[Filing]:
    rows = [_of(columns, name, path) for name in _COLUMNS]
    if len({len(column) for column in rows}) != 1:
        raise NotServed(f"{path} has columns of different lengths")
    for values in zip(*rows, strict=True):
        filing = Filing(*(str(value or "") for value in values))
        if not _FORM.fullmatch(filing.form):
            continue
        if not (
            _ACCESSION.fullmatch(filing.accession)
            and _DAY.fullmatch(filing.filed)
            and (not filing.period or _DAY.fullmatch(filing.period))
            and (not filing.document or _DOCUMENT.fullmatch(filing.document))
        ):
            raise NotServed(f"{path} has a filing of another form: {filing!r}"[:300])
        yield filing


def _of(document: Any, field: str, path: str) -> Any:
    if not isinstance(document, Mapping) or field not in document:
        raise NotServed(f"{path} has not the shape that EDGAR documents: no {field}")
    return document[field]


def _text(value: Any) -> str | None:
    return str(value) if value else None
