"""Read and write Parquet data files in Arrow tasks on Spark's executors, for the delta-rs engine.

Each function here makes a task for `mapInArrow`. The vended keys travel inside the task (pickled
code, never shown in a plan, never in Spark's configuration or an option) to executors of this job
only.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from steps.governance.documents.document import FileEntry
from steps.governance.storage.leases import Lending
from steps.prepare.arrow_tasks import bounded, exactly, map_in_arrow
from steps.prepare.delta.staging.leased import Left, begun, left_when_over, until_done
from steps.prepare.schemas import PARTITION, ROWS_PER_FILE, TableSchema
from steps.prepare.session import at_most, translated

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Batches = Iterable[pa.RecordBatch]
Task = Callable[[Batches], Batches]

WRITTEN = pa.schema(
    [("path", pa.string()), ("size", pa.int64()), ("sha256", pa.string()), ("rows", pa.int64())]
)
_BUFFER_BYTES = 1 << 20
_ROWS_AT_ONCE = 2_000
_FILE_BYTES = 128 << 20  # of Arrow data, in memory


def file_system(location: str, options: Mapping[str, str]) -> "pa.fs.FileSystem":
    """Return the table's folder in delta-rs's store, with the same keys and retries as the log."""
    return _file_system(location, tuple(sorted(options.items())))


@lru_cache(maxsize=4)  # a client of S3 takes 5 ms of a processor, and a small job needs fifteen
def _file_system(location: str, options: tuple[tuple[str, str], ...]) -> "pa.fs.FileSystem":
    from deltalake.fs import DeltaStorageHandler
    from pyarrow.fs import PyFileSystem

    return PyFileSystem(DeltaStorageHandler(location, dict(options)))


def writing(
    location: str, options: Mapping[str, str], execution_id: str, schema: TableSchema
) -> Task:
    """Return a task that writes its rows as Parquet files; it reports path, size, sha256, rows.

    The frame's batches must have the table's own types: Sail declares a column INT while its
    batches have text (a union of both), and a cast here would hide it.

    A file is named by its content: a repeated task overwrites its own files with the same bytes and
    leaves no orphan. More rows than one file should have make several, so that memory is bounded.
    """

    def write(batches: Batches) -> Iterator[pa.RecordBatch]:
        files = file_system(location, options)
        waiting, rows, size = list[pa.RecordBatch](), 0, 0
        typed = (exactly(batch, schema.arrow) for batch in batches)
        for batch in bounded(typed, rows=_ROWS_AT_ONCE):
            if waiting and (rows + batch.num_rows > ROWS_PER_FILE or size > _FILE_BYTES):
                yield _written(files, f"{PARTITION}={execution_id}", waiting, schema)
                waiting, rows, size = [], 0, 0
            waiting.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        if waiting:
            yield _written(files, f"{PARTITION}={execution_id}", waiting, schema)

    return write


def _written(
    files: "pa.fs.FileSystem",
    folder: str,
    batches: Sequence[pa.RecordBatch],
    schema: TableSchema,
) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches)
    content = parquet(table, schema)
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"{folder}/part-{sha256}.parquet"
    files.create_dir(folder, recursive=True)
    put(files, path, content)
    return pa.RecordBatch.from_pylist(
        [{"path": path, "size": len(content), "sha256": sha256, "rows": table.num_rows}],
        schema=WRITTEN,
    )


def put(files: "pa.fs.FileSystem", path: str, content: bytes) -> None:
    """Write one whole file of any size; after a fault no file is left.

    delta-rs's stream accepts `bytes` only. pyarrow's buffered stream copies small writes and passes
    them on as `bytes`, but it passes a write that fills its buffer on as an Arrow buffer. So the
    content goes in slices smaller than that buffer.

    Closing the stream completes the upload, even of a part of the content. So after a fault the
    stream is detached and never closed: a folder's temporary file is removed, and a multipart
    upload of S3 has no object before it is completed.
    """
    slice_bytes = _BUFFER_BYTES // 2
    target = pa.BufferedOutputStream(files.open_output_stream(path), _BUFFER_BYTES)
    try:
        for start in range(0, len(content), slice_bytes):
            target.write(memoryview(content)[start : start + slice_bytes])
    except BaseException:
        with suppress(
            OSError
        ):  # `detach` flushes first; the error that is being raised is the cause
            target.detach()
        raise
    target.close()


def parquet(table: pa.Table, schema: TableSchema) -> bytes:
    """Return the rows, sorted, as the bytes of a Parquet file."""
    import pyarrow.parquet as pq

    columns = table.select(schema.file_arrow.names)
    ordered = columns.sort_by([(name, "ascending") for name in schema.file_arrow.names])
    sink = pa.BufferOutputStream()
    pq.write_table(ordered, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def read_back(
    spark: "SparkSession", location: str, keys: Lending, paths: Sequence[str], *, doing: str
) -> dict[str, FileEntry]:
    """Return what the storage has of these files, by path, read by as many tasks."""
    found = dict[str, FileEntry]()

    def run(left: Left) -> Left:
        wanted = [paths[number] for number in left]
        numbers = spark.range(0, len(wanted), 1, at_most(len(wanted)))
        for row in map_in_arrow(numbers, hashing(location, keys, wanted), WRITTEN).collect():
            found[row["path"]] = FileEntry(**row.asDict())
        return {number: 0 for number in left if paths[number] not in found}

    with translated(doing):
        until_done(dict.fromkeys(range(len(paths)), 0), run, (keys,), doing=doing)
    return found


def hashing(location: str, options: Mapping[str, str], paths: Sequence[str]) -> Task:
    """Return a task that reads files back and reports their real path, size, sha256 and rows.

    It reports nothing of the files that it does not begin, since the keys are due.
    """

    def read_back(numbers: Batches) -> Batches:
        files = file_system(location, options)
        for batch in numbers:
            for number in begun(batch.column(0).to_pylist(), options):
                found = []
                with left_when_over(options):
                    found = [{"path": paths[number], **_read_back(files, paths[number])}]
                yield pa.RecordBatch.from_pylist(found, schema=WRITTEN)

    return read_back


def _read_back(files: "pa.fs.FileSystem", path: str) -> dict[str, str | int]:
    import pyarrow.parquet as pq

    with files.open_input_file(unquote(path)) as source:
        digest, size = hashlib.sha256(), 0
        while block := source.read(_BUFFER_BYTES):
            digest.update(block)
            size += len(block)
        source.seek(0)
        rows = pq.ParquetFile(source).metadata.num_rows
    return {"size": size, "sha256": digest.hexdigest(), "rows": rows}
