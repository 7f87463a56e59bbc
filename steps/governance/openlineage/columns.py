"""The columns of the curated table, and the raw columns that each is made from.

    if prepared.schema_sha256 == SCHEMA_SHA256: …    # a table with exactly these columns

`steps/prepare/schemas.py` defines the columns. A step does not import another one, so a test
compares both. Raw columns are those that every raw table has (`steps/prepare/columns.py`,
REQUIRED); a table may have optional ones, which a record does not name.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its Spark SQL type, its meaning, and the raw columns of its values."""

    name: str
    type: str
    meaning: str
    made_from: tuple[str, ...] = ()


_IDENTITY = ("cik", "filing_type", "filing_date", "filename", "item_1a")

CURATED = (
    Column("example_id", "string", "digest of the filing's identity and position", _IDENTITY),
    Column("execution_id", "string", "the pipeline execution that made the row"),
    Column("split", "string", "train or eval, by company", ("cik",)),
    Column("cik", "string", "the company's SEC key, ten digits", ("cik",)),
    Column("company", "string", "the company's name", ("company",)),
    Column("sic", "string", "the industry code, four digits"),
    Column("filing_type", "string", "the form: 10-K or 10-Q", ("filing_type",)),
    Column("year", "int", "the year of the report", ("filing_date",)),
    Column("section", "string", "the filing's section", ("filing_type",)),
    Column("source_filing", "string", "the filing's file name", ("filename",)),
    Column("system", "string", "the fixed system prompt"),
    Column(
        "prompt",
        "string",
        "an instruction and one risk factor",
        ("company", "filing_type", "filing_date", "item_1a"),
    ),
    Column("completion", "string", "the company's own heading of the risk factor", ("item_1a",)),
)
SCHEMA_SHA256 = hashlib.sha256(
    ", ".join(f"{column.name} {column.type}" for column in CURATED).encode()
).hexdigest()
