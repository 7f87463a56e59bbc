"""The raw table's rows as Arrow tasks: what runs on Spark's executors when delta-rs keeps the log.

    reading(location, options, paths, columns)       # the files one by one
    scanning(location, options, version, columns)    # the whole table through delta-rs

Each function makes a task for `mapInArrow`; the vended keys travel inside it (`steps.prepare.data_files`).
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa

from steps.prepare.data_files import Batches, Task, file_system

_READ_ROWS = 128  # per batch; a filing is up to some megabytes of text


def reading(location: str, options: Mapping[str, str], paths: Sequence[str], columns: Sequence[str]) -> Task:
    """A task that turns numbers into the rows of the files with these numbers."""

    def read(numbers: Batches) -> Batches:
        import pyarrow.parquet as pq

        files = file_system(location, options)
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                with files.open_input_file(unquote(paths[number])) as source:
                    file = pq.ParquetFile(source)
                    present = [name for name in columns if name in file.schema_arrow.names]
                    for rows in file.iter_batches(_READ_ROWS, columns=present):
                        yield as_text(rows, columns)

    return read


def scanning(location: str, options: Mapping[str, str], version: int, columns: Sequence[str]) -> Task:
    """A task that reads the whole table through delta-rs, which honours deletion vectors and column mapping."""

    def scan(numbers: Batches) -> Batches:
        from deltalake import DeltaTable

        for _ in numbers:
            table = DeltaTable(location, version=version, storage_options=dict(options))
            for rows in table.scan(columns=list(columns)):
                yield as_text(pa.record_batch(rows), columns)

    return scan


def as_text(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """The columns by name, each as plain Arrow strings whatever the file's encoding of text is.

    A column that was added to the table after the file was written is null in it, as Delta means it.
    """
    absent = pa.nulls(batch.num_rows, pa.string())
    there = set(batch.schema.names)
    return pa.record_batch(
        [batch.column(name).cast(pa.string()) if name in there else absent for name in columns], names=list(columns)
    )
