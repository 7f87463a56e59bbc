"""Filings as JSON lines in EDGAR-CORPUS / EDGAR-CRAWLER form, checked before they enter the raw table.

One JSON object a line: `cik, company, filing_type, filing_date, period_of_report, filename` are required; `sic, state_of_inc,
item_1A, part_2_item_1A` may be missing or null; every other field is left out of the raw table. What the text itself is
worth is Prepare's to judge: a filing without risk factors is a row here and a rejection there.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.local.rows import Row, Rows

REQUIRED = ("cik", "company", "filing_type", "filing_date", "period_of_report", "filename")
OPTIONAL = ("sic", "state_of_inc", "item_1A", "part_2_item_1A")
# The raw table's columns: the fields above in lower case, since Spark's names are case-insensitive and delta-rs's are not.
COLUMNS = tuple(field.lower() for field in (*REQUIRED, *OPTIONAL))

_FAULTS_SHOWN = 10
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Filings:
    """Rows of the raw table; `asked_for` tells a person's own from the default that only fills an empty table."""

    rows: Rows
    asked_for: bool


def read(paths: Iterable[Path]) -> Rows:
    """Read and check filings; every faulty line is named, and then nothing is taken.

    Raises:
        UsageError: a file is missing, empty, not UTF-8, not JSON lines, or lacks fields.
    """
    rows = Rows()
    faults: list[str] = []
    for path in paths:
        for place, line in _lines(path):
            try:
                rows.append(_row(line))
            except ValueError as fault:
                faults.append(f"{place}: {fault}")
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:_FAULTS_SHOWN])
        more = f"\n  … and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise UsageError(
            f"{len(faults)} line(s) are no filings; nothing was loaded\n{shown}{more}\n"
            f"  expected  one JSON object a line with {', '.join(REQUIRED)}\n"
            "  do        correct or remove these lines"
        )
    if not rows:
        raise UsageError(f"no filings in {', '.join(map(str, paths))}\n  expected  at least one JSON line")
    return rows


def checked(filings: Iterable[dict[str, Any]]) -> Rows:
    """The same form for filings that are no file: a generated corpus."""
    return Rows(_columns(filing) for filing in filings)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", line
    except OSError as error:
        raise UsageError(f"the filings file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"the filings file {path} is not UTF-8: {error.reason} at byte {error.start}") from None


def _row(line: str) -> Row:
    document = _parsed(line)
    if not isinstance(document, dict):
        raise ValueError(f"a JSON object is expected, got {type(document).__name__}")  # noqa: TRY004 - one fault kind
    missing = [field for field in REQUIRED if document.get(field) in (None, "")]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    return _columns(document)


def _columns(document: dict[str, Any]) -> Row:
    return {field.lower(): _text(field, document.get(field)) for field in (*REQUIRED, *OPTIONAL)}


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("not a filing (nested too deeply)") from None


def _text(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise ValueError(f"{field} is no text: it holds half of a character (a lone surrogate)")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # EDGAR-CORPUS has numeric cik and year in some exports
    raise ValueError(f"{field} must be text, got {type(value).__name__}")
