"""Filings as EDGAR-CRAWLER publishes them, checked before they enter the raw table.

`cik, company, filing_type, filing_date, filename` are required; `period_of_report, sic,
state_of_inc, item_1A, part_2_item_1A, section_html` may be missing or null; every other field is
left out of the raw table. Names are case-insensitive. The files may have every form that
documents.py reads. The text itself is checked by Prepare: a filing without risk factors is a row
here and is rejected there.

In the layout `form_type=…/fiscal_year=…/cik=…/….json` form and CIK may be in the folders' names
only; a filing in another company's folder is refused.

The hub's EDGAR-CORPUS has `filename, cik, year, section_1A, …` and no company, form or date. Its
`section_1A` is `item_1A`, and a missing `cik` is read from a name such as `718413_1993.txt`. The
other three have to be added; they have no defaults.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pipeline.errors import UsageError
from pipeline.local.setup.documents import documents, size
from pipeline.local.setup.rows import Row, Rows
from pipeline.shell import amount

REQUIRED = ("cik", "company", "filing_type", "filing_date", "filename")
# The raw table's columns, in its order: fields in lower case, since Spark's names are
# case-insensitive and delta-rs's are not.
COLUMNS = (
    "cik", "company", "filing_type", "filing_date", "period_of_report", "filename", "sic",
    "state_of_inc", "item_1a", "part_2_item_1a",
)  # fmt: skip
# Of a filing that has it; the raw table has the column if a row has.
OPTIONAL = ("section_html",)

_OF_EDGAR_CORPUS = {"section_1a": "item_1a"}
# Of the paper's corpus: CIK and year of filing
_NAME_OF_EDGAR_CORPUS = re.compile(r"(\d{1,10})_(?:19|20)\d\d\.(?:txt|html?)")
# Columns that the folders of a partitioned layout name, as Hive writes them.
_OF_FOLDER = {"form_type": "filing_type", "cik": "cik"}
_FOLDER = re.compile(r"(?:^|/)(form_type|cik)=([^/]+)(?=/)")
_FAULTS_SHOWN = 10
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Filings:
    """Rows of the raw table. `asked_for`: a user gave them; the default set only fills an empty
    table.
    """

    rows: Rows
    asked_for: bool


def read(paths: Iterable[Path]) -> Rows:
    """Read and check filings; if any is faulty, none is loaded and each faulty one is named.

    What takes over three seconds shows how far it is.

    Args:
        paths: files, or folders of them (documents.py has the forms).

    Raises:
        UsageError: a file is missing, empty, damaged or not JSON, or a filing lacks fields.
    """
    rows = Rows()
    faults: list[str] = []
    corpus, every = False, list(paths)
    with amount.shown("reading", sum(map(size, every))) as add:
        for place, document in (found for path in every for found in documents(path, add)):
            try:
                rows.append(_row(document, place))
            except ValueError as fault:
                faults.append(f"{place}: {fault}")
                corpus = corpus or _is_of_edgar_corpus(document)
    if faults:
        raise UsageError(_refusal(faults, corpus=corpus))
    if not rows:
        raise UsageError(
            f"no filings in {', '.join(map(str, every))}\n  expected  at least one JSON document"
        )
    return rows


def _refusal(faults: list[str], *, corpus: bool) -> str:
    shown = "\n".join(f"  {fault}" for fault in faults[:_FAULTS_SHOWN])
    more = f"\n  … and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
    do = (
        (
            "add company, filing_type and filing_date, which EDGAR-CORPUS lacks, from EDGAR's "
            "index (by cik and year), or fetch the filings: python -m scripts.fetch_filings"
        )
        if corpus
        else "correct or remove these"
    )
    return (
        f"{len(faults)} line(s) are not filings; nothing was loaded\n{shown}{more}\n"
        f"  expected  JSON objects with {', '.join(REQUIRED)}: one a line, one a file, or an "
        "array\n"
        f"  do        {do}"
    )


def checked(filings: Iterable[dict[str, Any]]) -> Rows:
    """Return the same rows for filings that do not come from a file: a generated corpus."""
    return Rows(_columns(filing) for filing in filings)


def _row(document: Any, place: str) -> Row:
    if isinstance(document, ValueError):
        raise document
    if not isinstance(document, dict):
        # A ValueError, as for all faults of a filing.
        kind = type(document).__name__
        raise ValueError(f"a JSON object is expected, got {kind}")  # noqa: TRY004
    row = _with_folders(_columns(document), place)
    missing = [field for field in REQUIRED if not row[field]]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    return row


def _with_folders(row: Row, place: str) -> Row:
    """Return the row with what the folders of its file name; both must agree."""
    for name, encoded in _FOLDER.findall(place):
        column, value = _OF_FOLDER[name], unquote(encoded)
        there = row[column]
        if there and _letters(there) != _letters(value):
            raise ValueError(f"{column} is {there}, but its folder is {name}={value}")
        row = row | {column: there or value}
    return row


def _letters(value: str) -> str:
    """Return a form or a CIK for comparison: `10-K/A` is `10-K-A`, `0000001001` is `1001`."""
    return re.sub(r"[^A-Z0-9]", "", value.upper()).lstrip("0")


def _columns(document: dict[str, Any]) -> Row:
    fields: dict[str, tuple[str, Any]] = {}
    for name, value in document.items():
        column = _OF_EDGAR_CORPUS.get(name.lower(), name.lower())
        if column in COLUMNS + OPTIONAL and column in fields:
            raise ValueError(f"{fields[column][0]} and {name} are one field")
        fields[column] = (name, value)
    row = {column: _text(*fields.get(column, (column, None))) for column in COLUMNS}
    row |= {column: text for column in OPTIONAL if (text := _text(*fields.get(column, ("", None))))}
    named = _NAME_OF_EDGAR_CORPUS.fullmatch(row["filename"] or "")
    return row | {"cik": named[1]} if named and not row["cik"] else row


def _is_of_edgar_corpus(document: Any) -> bool:
    return isinstance(document, dict) and any(
        str(name).lower().startswith("section_1") for name in document
    )


def _text(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise ValueError(
                f"{field} is not text: it holds half of a character (a lone surrogate)"
            )
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # some exports have numbers for cik, year and sic
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of numbers with gaps, as pandas writes it
    raise ValueError(f"{field} must be text, got {type(value).__name__}")
