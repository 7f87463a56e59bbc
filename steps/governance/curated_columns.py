"""The columns of the curated table, and the raw columns that each is made from.

    if prepared.schema_sha256 == SCHEMA_SHA256: …    # a table with exactly these columns

`steps/prepare/schemas.py` and `steps/prepare/filings/columns.py` define the columns. A step does
not import another one, so a test compares both. A raw column is a source of a curated one if its
value is repeated in it, parsed from it or decides it. Identifiers (`example_id`, `execution_id`)
and the constant `system` have no source.
"""

import hashlib
from dataclasses import dataclass

# Raw columns without which Prepare refuses a table. A table may lack the other sources.
REQUIRED = ("cik", "company", "filing_type", "filing_date", "filename", "item_1a")


@dataclass(frozen=True)
class Column:
    """One column: its Spark SQL type, its meaning, and the raw columns of its values."""

    name: str
    type: str
    meaning: str
    made_from: tuple[str, ...] = ()

    @property
    def always_from(self) -> tuple[str, ...]:
        """The sources that every raw table has. A record does not name the other ones."""
        return tuple(name for name in self.made_from if name in REQUIRED)


# Of a 10-K, of a 10-Q, and what decides where their risk factors begin
_TEXT = ("item_1a", "part_2_item_1a", "section_html")
_PERIOD = ("filing_date", "period_of_report")

CURATED = (
    Column("example_id", "string", "digest of the filing's identity and position"),
    Column("execution_id", "string", "the pipeline execution that made the row"),
    Column(
        "split", "string", "train or eval; a company, family or year is in one", ("cik", *_PERIOD)
    ),
    Column(
        "family_id",
        "string",
        "the company's risk factors of all years that are like this one",
        ("cik", "filing_date", *_TEXT),
    ),
    Column("cik", "string", "the company's SEC key, ten digits", ("cik",)),
    Column("company", "string", "the company's name", ("company",)),
    Column("sic", "string", "the industry code, four digits", ("sic",)),
    Column("filing_type", "string", "the form: 10-K or 10-Q", ("filing_type",)),
    Column("year", "int", "the year of the report", _PERIOD),
    Column("section", "string", "the filing's section", ("filing_type",)),
    Column("source_filing", "string", "the filing's file name", ("filename",)),
    Column("system", "string", "the fixed system prompt"),
    Column(
        "prompt",
        "string",
        "an instruction and one risk factor",
        ("company", "filing_type", *_PERIOD, *_TEXT),
    ),
    Column("completion", "string", "the company's own heading of the risk factor", _TEXT),
)
SCHEMA_SHA256 = hashlib.sha256(
    ", ".join(f"{column.name} {column.type}" for column in CURATED).encode()
).hexdigest()
