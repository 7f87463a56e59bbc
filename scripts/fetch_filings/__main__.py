"""Fetch 10-K and 10-Q filings from the SEC's EDGAR, as files that `--filings` takes.

    python -m scripts.fetch_filings --company AAPL --company 1018724 --years 2021-2024 \\
        --contact "Example Bank research@example.com" --out filings
    python -m pipeline.local run --filings filings

Each filing is `raw/risk_factors/form_type=…/fiscal_year=…/cik=…/<accession number>.json` with
EDGAR-CRAWLER's fields: of its text only Item 1A, as text and, where the page is HTML, with its
bold, italic and underlined type as `section_html`. `source_url` and `source_sha256` name the page
as EDGAR served it. `SHA256SUMS` has each file's digest. The same command again fetches only what
is missing.

Exit code: 0 every filing is there, 1 one is not, 2 a wrong command line.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from scripts.fetch_filings import folder, listing, page_text
from scripts.fetch_filings.edgar_client import MOST_PER_SECOND, Access, Edgar, NotServed
from scripts.fetch_filings.item_1a import section, styled
from scripts.fetch_filings.listing import Company, Filing, Wanted

_FORMS = ("10-K", "10-Q")
_FIRST_YEAR, _LAST_YEAR = 1993, 2100  # EDGAR begins in 1993
_USAGE = 2


@dataclass
class _Count:
    """What became of the filings."""

    fetched: int = 0
    there: int = 0
    without: int = 0  # fetched, no Item 1A in them
    failed: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what the command line names; print a line for each filing and a summary."""
    given = _parser().parse_args(arguments)
    count = _Count()
    try:
        wanted = Wanted(frozenset(given.forms.upper().split(",")), _years(given.years))
        access = Access(given.contact, given.per_second, given.budget_seconds, given.loopback)
        with folder.opened(given.out) as target, Edgar(access) as edgar:
            for name in given.company:
                _fetch_company(edgar, target, listing.number(edgar, name), wanted, count)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return _USAGE if isinstance(error, UsageError) else 1
    print(
        f"{count.fetched} fetched, {count.there} there already, {len(count.failed)} failed; "
        f"{count.without} without Item 1A · {given.out}"
    )
    return 1 if count.failed else 0


def _fetch_company(
    edgar: Edgar, target: folder.Folder, cik: str, wanted: Wanted, count: _Count
) -> None:
    company, filings = listing.filings_of(edgar, cik, wanted)
    if not filings:
        years = f"{min(wanted.years)}-{max(wanted.years)}"
        count.failed.append(cik)
        print(
            f"{cik} {company.name}: no {', '.join(sorted(wanted.forms))} of {years}",
            file=sys.stderr,
        )
    for filing in filings:
        path = folder.place(company, filing)
        try:
            if target.has(path):
                count.there += 1
                continue
            document = _document(edgar, company, filing)
            digest = target.write(path, document)
        except (NotServed, folder.Changed) as error:
            count.failed.append(filing.accession)
            print(error, file=sys.stderr)
            continue
        found = document["item_1A"] or document["part_2_item_1A"]
        count.fetched += 1
        count.without += not found
        size = f"{len(str(found)):,} characters" if found else "no Item 1A"
        print(
            f"{digest[:12]}  {filing.form:<6} {filing.period or filing.filed}  {size:>20}  {path}"
        )


def _document(edgar: Edgar, company: Company, filing: Filing) -> dict[str, str | None]:
    """Return the filing with EDGAR-CRAWLER's fields."""
    path = filing.path(company.cik)
    content = edgar.content("www", path)
    page = content if filing.document else page_text.of_submission(content, filing.form)
    found, html = section(page_text.text(page)), page_text.html(page)
    quarterly = filing.form.startswith("10-Q")
    form = filing.form.replace("-", "").replace("/", "").replace(" ", "")
    ending = "htm" if filing.document.lower().endswith(("htm", "html")) else "txt"
    name = f"{int(company.cik)}_{form}_{filing.filed[:4]}_{filing.accession}.{ending}"
    return {
        "cik": str(int(company.cik)),
        "company": company.name,
        "filing_type": filing.form,
        "filing_date": filing.filed,
        "period_of_report": filing.period or None,
        "sic": company.sic,
        "state_of_inc": company.state,
        "filename": name,
        "item_1A": None if quarterly else found,
        "part_2_item_1A": found if quarterly else None,
        "section_html": styled(html) if found and html else None,
        "source_url": f"https://www.sec.gov{path}",
        "source_sha256": hashlib.sha256(content).hexdigest(),
    }


def _years(text: str) -> range:
    first, _, last = text.partition("-")
    numbers = [int(each) for each in (first, last or first) if each.isdecimal()]
    if len(numbers) != 2 or not _FIRST_YEAR <= numbers[0] <= numbers[1] <= _LAST_YEAR:
        raise UsageError(
            f"--years: a year from {_FIRST_YEAR}, or FIRST-LAST, expected, got {text!r}"
        )
    return range(numbers[0], numbers[1] + 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fetch_filings",
        description=(__doc__ or "").split("\n\n")[0],
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--company", action="append", required=True, help="a ticker or a CIK; may be repeated")
    add("--years", required=True, metavar="FIRST-LAST", help="years in which a period ends")
    add(
        "--forms",
        default=",".join(_FORMS),
        help="EDGAR's names, with commas (default: %(default)s)",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="the folder of the files")
    add(
        "--contact",
        default=os.environ.get("EDGAR_CONTACT", ""),
        help="a name and an e-mail address, which the SEC requires (default: $EDGAR_CONTACT)",
    )
    add(
        "--per-second",
        type=float,
        default=5.0,
        help=f"requests, at most {MOST_PER_SECOND:g} (default: %(default)s)",
    )
    add(
        "--budget-seconds",
        type=float,
        default=900.0,
        help="how long one request is tried, its pauses included (default: %(default)s)",
    )
    add("--loopback", metavar="URL", help="ask this server on this machine instead of EDGAR")
    return parser


if __name__ == "__main__":
    sys.exit(main())
