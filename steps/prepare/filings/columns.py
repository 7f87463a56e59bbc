"""The columns that Prepare reads: matched by name as in Spark, of types with a stated conversion.

    chosen({"CIK": "bigint", "Item_1A": "string", …}, table="edgar.raw.filings", version=3)
    # Columns(names=("CIK", …), unusable=("sic: type boolean cannot be read as a code",))

Types are named as Spark SQL names them. docs/data.md has the table ("Columns and their types"),
`steps.prepare.text.column_text` the conversions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from steps.governance.errors import GovernanceError

REQUIRED = ("cik", "company", "filing_type", "filing_date", "filename", "item_1a")
OPTIONAL = (
    "period_of_report", "part_2_item_1a", "sic", "accession_number", "accession", "section_html",
)  # fmt: skip

_TEXT = r"string( collate .+)?|char\(\d+\)|varchar\(\d+\)|binary"
_WHOLE = r"tinyint|smallint|int|bigint"
_NUMBER = rf"{_WHOLE}|decimal\(\d+,\s?\d+\)|float|double"
_DAY = r"date|timestamp|timestamp_ntz"
_A_CODE = ("a code", rf"{_TEXT}|{_NUMBER}")
_A_DATE = ("a date", rf"{_TEXT}|{_NUMBER}|{_DAY}")
_A_NAME = ("a name", rf"{_TEXT}|{_WHOLE}")
_A_TEXT = ("text", _TEXT)
_MEANINGS = {
    "cik": _A_CODE,
    "sic": _A_CODE,
    "filing_date": _A_DATE,
    "period_of_report": _A_DATE,
    "filename": _A_NAME,
    "accession_number": _A_NAME,
    "accession": _A_NAME,
}


@dataclass(frozen=True)
class Columns:
    """`names` are the columns to read, as the table spells them.

    `unusable` has one message per optional column left out.
    """

    names: tuple[str, ...]
    unusable: tuple[str, ...]


def chosen(there: Mapping[str, str], *, table: str, version: int) -> Columns:
    """Return the columns to read, out of the existing ones (name and type).

    Raises:
        GovernanceError: a required column is missing or of a type without a conversion, or two
            columns differ only in case.
    """
    found: dict[str, list[str]] = {}
    for name in there:
        found.setdefault(name.lower(), []).append(name)
    faults = (
        [f"no column {', '.join(missing)}"]
        if (missing := [name for name in REQUIRED if name not in found])
        else []
    )
    faults += [
        f"columns {', '.join(sorted(found[name]))}, which differ only in case"
        for name in (*REQUIRED, *OPTIONAL)
        if len(found.get(name, ())) > 1
    ]
    single = {name: spelled[0] for name, spelled in found.items() if len(spelled) == 1}
    unusable = {
        name: fault
        for name in (*REQUIRED, *OPTIONAL)
        if name in single and (fault := _unusable(name, there[single[name]]))
    }
    faults += [unusable[name] for name in REQUIRED if name in unusable]
    if faults:
        raise _refused(table, version, faults)
    read = [name for name in (*REQUIRED, *OPTIONAL) if name in single and name not in unusable]
    return Columns(tuple(single[name] for name in read), tuple(unusable.values()))


def _unusable(name: str, kind: str) -> str | None:
    meaning, types = _MEANINGS.get(name, _A_TEXT)
    if re.fullmatch(types, kind, re.IGNORECASE):
        return None
    shown = (
        re.split(r"[<(]", kind)[0].lower()
        if kind.lower().startswith(("struct", "array", "map"))
        else kind.lower()
    )
    return f"{name}: type {shown} cannot be read as {meaning}"


def _refused(table: str, version: int, faults: list[str]) -> GovernanceError:
    return GovernanceError(
        f"table {table} is not a table of filings, nothing was written",
        expected=f"one column each of {', '.join(REQUIRED)}, in upper or lower case, "
        "of a type that docs/data.md lists",
        got=f"{'; '.join(faults)} at version {version}",
        do="load filings in EDGAR-CRAWLER's fields (docs/data.md)",
    )
