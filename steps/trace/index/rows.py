"""The rows of the index: one for each evidence document, with its digest and its facts.

rows = read_rows(path)
write_rows(path, rows)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("kind", pa.string()),
        ("unreadable", pa.string()),
        ("facts", pa.string()),
    ]
)
TRY_AGAIN = "-"  # the entity tag of a document that was not reached: it never equals a stored one


@dataclass(frozen=True)
class Row:
    """One document: where it is, what it was when it was read, and its facts.

    `unreadable` is the reason why its facts are missing or incomplete, or None.
    """

    key: str
    etag: str
    size: int
    sha256: str
    kind: str
    unreadable: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def execution(self) -> str:
        """The id of the execution that wrote the document; empty for an approval."""
        return self.key.split("/")[1] if self.kind != "approval" else ""


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows."""
    import polars as pl  # only a refresh that found something needs it

    columns = {
        name: [getattr(row, name) for row in rows] for name in _SCHEMA.names if name != "facts"
    }
    facts = [json.dumps(row.facts, separators=(",", ":")) for row in rows]
    # Not `pa.table` of lists: it imports pandas where it is installed, half a second.
    frame = pl.DataFrame(
        columns | {"facts": facts},
        schema=dict.fromkeys(_SCHEMA.names, pl.String) | {"size": pl.Int64},
    )
    pq.write_table(frame.to_arrow().cast(_SCHEMA), path, compression="zstd")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file that `write_rows` wrote.

    Raises:
        ValueError: another schema (pyarrow's own errors are ValueErrors or OSErrors too).
    """
    # Not `read_table`: it imports pyarrow.dataset, and that imports pandas where it is installed.
    with pq.ParquetFile(path) as file:
        table = file.read()
    if table.schema.names != _SCHEMA.names:
        raise ValueError("other columns")
    columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
    # One parser call for all rows: ten thousand short texts would pay ten thousand calls.
    columns[-1] = json.loads("[" + ",".join(columns[-1]) + "]")
    return [Row(*values) for values in zip(*columns, strict=True)]
