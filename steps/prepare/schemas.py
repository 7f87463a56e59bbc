"""The columns of both tables that Prepare writes, for Spark, Delta, Parquet and Unity Catalog.

docs/architecture.md lists them ("Files between steps"). All columns are nullable: engines disagree
about the nullability of computed columns, and a Delta table keeps the schema of its first writer.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

PARTITION = "execution_id"
# Of both tables: about 40 MB of examples, which one task holds in memory.
ROWS_PER_FILE = 20_000

_ARROW = {"string": pa.string(), "int": pa.int32()}
_DELTA = {"string": "string", "int": "integer"}


@dataclass(frozen=True)
class TableSchema:
    """Column names and Spark SQL types, in table order.

    Both tables are partitioned by `execution_id`.
    """

    columns: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        """Column names in table order."""
        return [name for name, _ in self.columns]

    @property
    def ddl(self) -> str:
        """`example_id string, …`, as Spark SQL takes it."""
        return ", ".join(f"{name} {kind}" for name, kind in self.columns)

    @cached_property
    def arrow(self) -> pa.Schema:
        """The table's Arrow schema."""
        return pa.schema([(name, _ARROW[kind]) for name, kind in self.columns])

    @cached_property
    def file_arrow(self) -> pa.Schema:
        """The schema of a data file: Delta keeps partition columns in its log, not in the files."""
        return pa.schema([field for field in self.arrow if field.name != PARTITION])

    @cached_property
    def delta_json(self) -> str:
        """The schema as the Delta log writes it."""
        fields = [
            {"name": name, "type": _DELTA[kind], "nullable": True, "metadata": {}}
            for name, kind in self.columns
        ]
        return json.dumps({"type": "struct", "fields": fields})

    @property
    def sha256(self) -> str:
        """The digest that identifies these columns in the manifest."""
        return hashlib.sha256(self.ddl.encode()).hexdigest()


def files_for(rows: int) -> int:
    """Return the number of data files, and so of Spark tasks, for this many rows."""
    return max(1, -(-rows // ROWS_PER_FILE))


EXAMPLES = TableSchema(
    (
        ("example_id", "string"),
        ("execution_id", "string"),
        ("split", "string"),
        ("family_id", "string"),
        ("cik", "string"),
        ("company", "string"),
        ("sic", "string"),
        ("filing_type", "string"),
        ("year", "int"),
        ("section", "string"),
        ("source_filing", "string"),
        ("system", "string"),
        ("prompt", "string"),
        ("completion", "string"),
    )
)

REJECTED = TableSchema(
    tuple(
        (name, "string")
        for name in (
            "execution_id",
            "source_filing",
            "cik",
            "company",
            "filing_type",
            "filing_date",
            "reason",
            "detail",
        )
    )
)
