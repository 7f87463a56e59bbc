"""The raw table's rows as Arrow tasks: what runs on Spark's executors when delta-rs keeps the log.

    groups = grouped(sizes, tasks=16)                    # which files go into which task
    reading(location, options, files, groups, columns)   # each group's files, one after another
    scanning(location, options, version, columns)        # the whole table through delta-rs

Each function makes a task for `mapInArrow`; the vended keys travel inside it
(`steps.prepare.delta.data_files`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from steps.governance.errors import GovernanceError
from steps.prepare.arrow_tasks import MOST_ROWS, bounded
from steps.prepare.delta.data_files import Batches, Task, file_system
from steps.prepare.delta.tables import open_table
from steps.prepare.text import column_text

if TYPE_CHECKING:
    import pyarrow.fs as pa_fs
    import pyarrow.parquet as pq

_TASK_BYTES = 16 << 20  # of Parquet; compressed filings are about a fifth of their text
_TASK_FILES = 500  # opening a file on S3 takes some ten milliseconds
_FETCHED_BYTES = 8 << 20  # of a column, by one request
_WHOLE_BYTES = 1 << 20  # a smaller file is fetched by one request, a larger one column by column


class Piece(NamedTuple):
    """A data file, or one of the `shares` of a large one: some of its row groups.

    `path` is as in the log, `size` in bytes.
    """

    path: str
    size: int
    share: int = 0
    shares: int = 1


def pieces(files: Sequence[tuple[str, int]]) -> list[Piece]:
    """Return files (path, size) in pieces that a task reads, so that no task has a large one."""
    found = []
    for path, size in files:
        shares = max(1, -(-size // _TASK_BYTES))
        found += [Piece(path, -(-size // shares), share, shares) for share in range(shares)]
    return found


def grouped(sizes: Sequence[int], *, tasks: int) -> list[list[int]]:
    """Group files into tasks: bounded in bytes and number, at least `tasks` groups if possible."""
    most = max(min(_TASK_BYTES, -(-sum(sizes) // tasks)), 1)
    groups: list[list[int]] = []
    filled = 0
    for number, size in enumerate(sizes):
        if not groups or filled + size > most or len(groups[-1]) == _TASK_FILES:
            groups.append([])
            filled = 0
        groups[-1].append(number)
        filled += size
    return groups


def reading(
    location: str,
    options: Mapping[str, str],
    files: Sequence[Piece],
    groups: Sequence[Sequence[int]],
    columns: Sequence[str],
) -> Task:
    """Return a task that reads groups of pieces."""

    def rows(numbers: Batches) -> Iterator[pa.RecordBatch]:
        store = file_system(location, options)
        for batch in numbers:
            for group in batch.column(0).to_pylist():
                for number in groups[group]:
                    yield from _of_piece(store, files[number], columns)

    return lambda numbers: bounded(rows(numbers))


def _of_piece(
    store: "pa_fs.FileSystem", piece: Piece, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    path, size, share, shares = unquote(piece.path), piece.size, piece.share, piece.shares
    with store.open_input_file(path) as source:
        whole = shares == 1 and size <= _WHOLE_BYTES
        file = opened(pa.BufferReader(source.read(size)) if whole else source)
        names = spelled(file.schema_arrow.names, columns, path)
        ends = [number * file.num_row_groups // shares for number in (share, share + 1)]
        # Spark's tasks are threads enough
        for rows in file.iter_batches(
            MOST_ROWS, row_groups=range(*ends), columns=list(names.values()), use_threads=False
        ):
            yield as_text(rows, columns, names)


def opened(source: pa.NativeFile) -> "pq.ParquetFile":
    """Open a Parquet file.

    INT96 times of old writers are read in microseconds, as the Delta protocol defines them.
    """
    import pyarrow.parquet as pq

    # To prefetch would hold all columns of the file in memory before the first row is there.
    return pq.ParquetFile(
        source,
        coerce_int96_timestamp_unit="us",
        pre_buffer=False,
        buffer_size=_FETCHED_BYTES,
    )


def spelled(there: Sequence[str], columns: Sequence[str], path: str) -> dict[str, str]:
    """Return the file's spelling of each column: equal, or different only in case, as in Spark."""
    found: dict[str, str] = {}
    for name in columns:
        matches = (
            [name] if name in there else [other for other in there if other.lower() == name.lower()]
        )
        if len(matches) > 1:
            raise GovernanceError(
                f"column {name} cannot be read from data file {path}",
                expected="one column of this name, in upper or lower case",
                got=", ".join(matches),
                do="write the file again",
            )
        if matches:
            found[name] = matches[0]
    return found


def scanning(
    location: str, options: Mapping[str, str], version: int, columns: Sequence[str]
) -> Task:
    """Return a task that scans the table by delta-rs (deletion vectors, column mapping)."""

    def rows(numbers: Batches) -> Iterator[pa.RecordBatch]:
        for _ in numbers:
            table = open_table(location, options, version)
            for batch in table.scan(columns=list(columns)):
                yield as_text(pa.record_batch(batch), columns, {name: name for name in columns})

    return lambda numbers: bounded(rows(numbers))


def as_text(
    batch: pa.RecordBatch, columns: Sequence[str], names: Mapping[str, str]
) -> pa.RecordBatch:
    """Return the columns under the table's names, each as plain Arrow strings.

    `names` gives the batch's own spelling of each.

    A column that was added to the table after the file was written is null, as the Delta protocol
    defines it.
    """
    absent = pa.nulls(batch.num_rows, pa.string())
    arrays = [
        column_text.text(batch.column(names[name]), name) if name in names else absent
        for name in columns
    ]
    return pa.record_batch(arrays, names=list(columns))
