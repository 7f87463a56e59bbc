"""Faults of a filing's own fields, as expressions over the columns of the raw rows."""

import polars as pl

from steps.prepare.filings.identity import accession_of
from steps.prepare.text.characters import LOST

IGNORED_SEPARATOR = "; "
SIC = r"^[0-9]{1,4}$"
_CIK = r"^[0-9]{1,10}$"
# Characters. A longer value is not a name or a date but a text in the wrong column.
_LONGEST_FIELD = 300


def short(name: str) -> pl.Expr:
    """Return a column cut to the longest length of a field."""
    return pl.col(name).str.slice(0, _LONGEST_FIELD)


def fault() -> pl.Expr:
    """Return the first fault of the row's required fields, or null."""
    named = ("cik", "company", "filing_type", "filing_date", "filename")
    absent = {f"{name}: missing": pl.col(name).is_null() for name in named}
    long = {
        f"{name}: at most {_LONGEST_FIELD} characters expected": pl.col(name).str.len_chars()
        > _LONGEST_FIELD
        for name in ("company", "filing_type", "filename")
    }
    lost = {
        f"{name}: a character in it is lost (U+FFFD)": pl.col(name).str.contains(LOST, literal=True)
        for name in ("company", "filename")
    }
    digits = {"cik: 1 to 10 digits expected": ~pl.col("cik").str.contains(_CIK)}
    first = [pl.when(test).then(pl.lit(text)) for text, test in {**absent, **digits}.items()]
    last = [pl.when(test).then(pl.lit(text)) for text, test in {**long, **lost}.items()]
    return pl.coalesce(*first, pl.col("filing_date_fault"), *last)


def ignored() -> pl.Expr:
    """Return one fault for each optional field that cannot be used, or null without any."""
    faults = [
        pl.col("period_of_report_fault"),
        pl.when(~pl.col("sic").str.contains(SIC)).then(pl.lit("sic: 1 to 4 digits expected")),
        *(
            pl.when(pl.col(name).is_not_null() & accession_of(name).is_null()).then(
                pl.lit(f"{name}: the form 0000320193-21-000105 expected")
            )
            for name in ("accession_number", "accession")
        ),
    ]
    return pl.concat_str(faults, separator=IGNORED_SEPARATOR, ignore_nulls=True).replace("", None)
