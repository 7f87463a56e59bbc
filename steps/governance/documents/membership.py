"""The filings that gave examples, one row each, as a Parquet file next to Prepare's manifest.

    content = to_bytes(rows)                      # pa.Table with SCHEMA -> the file's bytes
    name(content)                                 # membership-<sha256>.parquet
    rows = read(content, origin="s3://…")         # pa.Table with SCHEMA, refuses anything else
    errors = faults([rows, …], ["s3://…", …])     # the same refusals, for many files at once

The rows are sorted by `filing_id`, and equal rows have equal bytes, so that the file's name is its
content. It holds identities, digests and counts, never text.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
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
    rows = unchecked(content, origin=origin)
    (error,) = faults([rows], [origin])
    if error is not None:
        raise error
    return rows


def unchecked(content: bytes, *, origin: str) -> pa.Table:
    """Return the rows of a file with the right columns; `faults` checks what they hold.

    Raises:
        IntegrityError: other columns or types.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        expected = _parquet_schema()
        # Equal schemas have equal columns; the text of each column costs more than the comparison.
        if not file.schema.equals(expected) and _columns(file.schema) != _columns(expected):
            found = ", ".join(map(str, _columns(file.schema)))
            raise _refused(origin, f"the columns {found}"[:500])
        rows = file.read(use_threads=False)
        return rows if rows.schema.equals(SCHEMA) else rows.cast(SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refused(origin, type(error).__name__) from None


def faults(tables: Sequence[pa.Table], origins: Sequence[str]) -> list[IntegrityError | None]:
    """Return for each table of `unchecked` why it is refused, or None.

    All are checked at once, because Arrow's calls cost more than the work on a small table; only if
    one has a fault are they checked one by one.
    """
    if len(tables) > 1 and _fault(tables) is None:
        return [None] * len(tables)
    found = [_fault([table]) for table in tables]
    return [
        None if fault is None else _refused(origin, fault)
        for origin, fault in zip(origins, found, strict=True)
    ]


def _fault(tables: Sequence[pa.Table]) -> str | None:
    rows = pa.concat_tables(tables)
    if any(rows[field.name].null_count for field in SCHEMA):
        return "a null"
    if not _is_ascending(rows["filing_id"].combine_chunks(), [len(table) for table in tables]):
        return "a filing twice, or filings out of order"
    train, held_out = rows["examples_train"], rows["examples_eval"]
    more = pc.max_element_wise(train, held_out)
    # Not `greater(train, 0)`: a Python number in a call imports pandas where it is installed.
    if len(rows) and (_least(train) < 0 or _least(held_out) < 0 or _least(more) < 1):
        return "a filing without an example"
    return None


def _least(numbers: pa.ChunkedArray) -> int:
    return int(pc.min(numbers).as_py())


def _is_ascending(ids: pa.Array, lengths: Iterable[int]) -> bool:
    """Whether ids ascend within each table; the last id of a table may be above the next one's."""
    if len(ids) < 2:
        return True
    ascends = pc.less(ids[:-1], ids[1:])
    firsts = {first for first in accumulate(lengths) if 0 < first < len(ids)}
    descents = len(ascends) - pc.sum(ascends).as_py()
    return bool(descents == sum(not ascends[first - 1].as_py() for first in firsts))


def _columns(schema: pq.ParquetSchema) -> list[tuple[Any, ...]]:
    """Return what a Parquet schema states of each column."""
    return [
        (column.path, column.physical_type, column.length, str(column.logical_type))
        for column in map(schema.column, range(len(schema)))
    ]


@cache
def _parquet_schema() -> pq.ParquetSchema:
    sink = pa.BufferOutputStream()
    # Not `empty_table`: it makes arrays of lists, and that imports pandas where it is installed.
    pq.write_table(pa.Table.from_batches([], SCHEMA), sink, store_schema=False)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema


def _refused(origin: str, got: str) -> IntegrityError:
    return IntegrityError(
        f"the list of filings at {origin} cannot be trusted",
        expected=f"a Parquet file with the columns {', '.join(SCHEMA.names)}, sorted, "
        "each filing once",
        got=got,
        do="find out who changed it; never edit it",
    )
