"""The filings that gave examples, one row each, as a Parquet file next to Prepare's manifest.

    content = to_bytes(rows)                      # pa.Table with SCHEMA -> the file's bytes
    name(content)                                 # membership-<sha256>.parquet
    rows = read(content, origin="s3://…")         # pa.Table with SCHEMA, refuses anything else

The rows are sorted by `filing_id`, and equal rows have equal bytes, so that the file's name is its
content. It holds identities, digests and counts, never text.
"""

import hashlib
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steps.governance.documents.document import FileEntry
from steps.governance.errors import IntegrityError

# `filing_id`: the identity within all executions, `<cik>/<accession number>`, or
# `<cik>/<sha256 of form, date and text>` without such a number.
# `text_sha256`: of the raw section as it was read (UTF-8), before anything was cleaned.
SCHEMA = pa.schema(
    [
        pa.field("filing_id", pa.string(), nullable=False),
        pa.field("cik", pa.string(), nullable=False),
        pa.field("text_sha256", pa.binary(32), nullable=False),
        pa.field("examples_train", pa.int32(), nullable=False),
        pa.field("examples_eval", pa.int32(), nullable=False),
    ]
)
MEDIA_TYPE = "application/vnd.apache.parquet"
_ROW_GROUP = 100_000


def to_bytes(rows: pa.Table) -> bytes:
    """Return the rows, sorted, as the bytes of a Parquet file."""
    ordered = rows.cast(SCHEMA).sort_by([("filing_id", "ascending"), ("text_sha256", "ascending")])
    sink = pa.BufferOutputStream()
    pq.write_table(
        ordered,
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=["cik"],
        write_page_checksum=True,
        store_schema=False,
    )
    return bytes(sink.getvalue())


def name(content: bytes) -> str:
    """Return the file's name."""
    return f"membership-{hashlib.sha256(content).hexdigest()}.parquet"


def entry(content: bytes, rows: int) -> FileEntry:
    """Return the manifest's entry of the file; its path is relative to the manifest."""
    sha256 = hashlib.sha256(content).hexdigest()
    return FileEntry(path=name(content), size=len(content), sha256=sha256, rows=rows)


def read(content: bytes, *, origin: str) -> pa.Table:
    """Return the rows.

    Raises:
        IntegrityError: not such a file: other columns or types, a null, a filing twice or out of
            order, a filing without an example.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        found = _columns(file.schema)
        if found != _columns(_parquet_schema()):
            raise _refused(origin, f"the columns {', '.join(map(str, found))}"[:500])
        rows = file.read(use_threads=False)
        rows = rows if rows.schema.equals(SCHEMA) else rows.cast(SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refused(origin, type(error).__name__) from None
    if fault := _fault(rows):
        raise _refused(origin, fault)
    return rows


def _fault(rows: pa.Table) -> str | None:
    if any(rows[field.name].null_count for field in SCHEMA):
        return "a null"
    ids = rows["filing_id"].combine_chunks()
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        return "a filing twice, or filings out of order"
    train, held_out = rows["examples_train"], rows["examples_eval"]
    given = pc.and_(
        pc.and_(pc.greater_equal(train, 0), pc.greater_equal(held_out, 0)),
        pc.or_(pc.greater(train, 0), pc.greater(held_out, 0)),
    )
    return None if len(rows) == 0 or pc.all(given).as_py() else "a filing without an example"


def _columns(schema: pq.ParquetSchema) -> list[tuple[Any, ...]]:
    """Return what a Parquet schema states of each column."""
    return [
        (column.path, column.physical_type, column.length, str(column.logical_type))
        for column in map(schema.column, range(len(schema)))
    ]


@cache
def _parquet_schema() -> pq.ParquetSchema:
    sink = pa.BufferOutputStream()
    pq.write_table(SCHEMA.empty_table(), sink, store_schema=False)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema


def _refused(origin: str, got: str) -> IntegrityError:
    return IntegrityError(
        f"the list of filings at {origin} cannot be trusted",
        expected=f"a Parquet file with the columns {', '.join(SCHEMA.names)}, sorted, "
        "each filing once",
        got=got,
        do="find out who changed it; never edit it",
    )
