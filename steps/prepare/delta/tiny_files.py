"""Many tiny data files, read once by the driver and handed to Spark's tasks as a few Arrow streams.

    if tiny_files.are_tiny(sizes):
        streams = tiny_files.gather(location, options, files, groups, columns)
        map_in_arrow(spark.range(len(streams)), tiny_files.given(streams), schema)

`gather` returns None if the text is too large. Opening a file costs about as much as reading a
hundred rows, so a table of one-row files would cost many times what its rows do. The streams travel
inside the pickled task, like the vended keys: never in a plan, an option or Spark's configuration.
They are small; larger files are read by the tasks (`steps.prepare.delta.raw_rows`).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa

from steps.prepare.arrow_tasks import bounded
from steps.prepare.delta.data_files import Batches, Task, file_system
from steps.prepare.delta.raw_rows import as_text, opened, spelled

_FEWEST_FILES = 16  # fewer cost little
_MOST_BYTES = 8 << 20  # of Parquet, all files together
_MOST_MEAN_BYTES = 64 << 10
_MOST_TEXT_BYTES = 128 << 20  # of Arrow data: text may compress a hundredfold


def are_tiny(sizes: Sequence[int]) -> bool:
    """Return whether files of these sizes (bytes) cost more to open than to read."""
    return len(sizes) >= _FEWEST_FILES and sum(sizes) <= min(
        _MOST_BYTES, _MOST_MEAN_BYTES * len(sizes)
    )


def gather(
    location: str,
    options: Mapping[str, str],
    files: Sequence[tuple[str, int]],
    groups: Sequence[Sequence[int]],
    columns: Sequence[str],
) -> list[bytes] | None:
    """Return each group's rows as one compressed Arrow stream of text columns.

    Return None if they hold more than `_MOST_TEXT_BYTES`.
    """
    store = file_system(location, options)
    streams, size = list[bytes](), 0
    for group in groups:
        runs = list[list[pa.Table]]()
        for number in group:
            table = _whole(store, *files[number], columns)
            size += table.nbytes
            if size > _MOST_TEXT_BYTES:
                return None
            if runs and runs[-1][0].schema.equals(table.schema):
                runs[-1].append(table)
            else:
                runs.append([table])
        streams.append(_stream(runs, columns))
    return streams


def given(streams: Sequence[bytes]) -> Task:
    """Return a task that turns numbers of streams into their rows."""

    def rows(numbers: Batches) -> Iterator[pa.RecordBatch]:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                with pa.ipc.open_stream(streams[number]) as stream:
                    yield from stream

    return lambda numbers: bounded(rows(numbers))


def _whole(store: "pa.fs.FileSystem", path: str, size: int, columns: Sequence[str]) -> pa.Table:
    """Return a file's rows in its own types, with the table's column names."""
    with store.open_input_file(unquote(path)) as source:
        file = opened(pa.BufferReader(source.read(size)))
    names = spelled(file.schema_arrow.names, columns, path)
    table = file.read(list(names.values()), use_threads=False)
    ours = {there: name for name, there in names.items() if there != name}
    return (
        table.rename_columns([ours.get(there, there) for there in table.column_names])
        if ours
        else table
    )


def _stream(runs: Sequence[Sequence[pa.Table]], columns: Sequence[str]) -> bytes:
    """Join tables of one schema before conversion: most files of a table have the same one."""
    batches = [
        as_text(batch, columns, {name: name for name in batch.schema.names})
        for run in runs
        for batch in pa.concat_tables(run).combine_chunks().to_batches()
    ]
    schema = pa.schema([(name, pa.string()) for name in columns])
    sink = io.BytesIO()
    with pa.ipc.new_stream(
        sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()
