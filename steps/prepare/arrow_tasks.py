"""Arrow tasks on Spark: batches of bounded size, with exactly the columns that were declared.

    map_in_arrow(frame, task, schema)      # the only call of Spark's `mapInArrow`

Sail casts what a task yields to the declared types without an error: a number that an INT cannot
hold and text that is not a number become NULL, 1.5 becomes 1, and bytes that are not UTF-8 NULL
(findings/sail-casts-the-batches-of-a-task-silently.sh). So each batch is compared with its
schema before the engine gets it, and the declaration is made from the same schema.

An Arrow string column holds at most 2 GiB, and a filing's section may have megabytes: the 8,192
rows of an engine's batch are too many. Files of one row are the other end: a kernel costs about as
much for one row as for a hundred.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.governance.errors import IntegrityError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]
Task = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]

MOST_ROWS = 128
# Of Arrow data; a single row may be larger. A kernel needs some ten times as much for its own
# columns, and each of a machine's cores runs one.
MOST_BYTES = 4 << 20
# Other Arrow forms of the same text or bytes, which an engine may give to a task.
_FORMS = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}


def map_in_arrow(frame: "DataFrame", task: Task, schema: pa.Schema) -> "DataFrame":
    """Return what `task` makes of the frame's batches, as columns of exactly this schema.

    Raises:
        IntegrityError: a batch of the task has other columns or types; raised by the action.
    """

    def declared(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = iter(task(batches))
        del batches
        try:
            for batch in found:
                yield exactly(batch, schema)
        except BaseException as error:
            # The error would hold the input until it is freed on any thread. If that is the one
            # that Sail feeds the input from, Sail panics
            del found
            _let_go(error)
            raise

    return frame.mapInArrow(declared, struct(schema))


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold; its lines stay."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def struct(schema: pa.Schema) -> "StructType":
    """Return the columns as Spark's type; a text would be parsed by one more call to the server.

    Raises:
        IntegrityError: a type is not text, bytes, int32 or int64.
    """
    from pyspark.sql import types

    known = {
        pa.string(): types.StringType(),
        pa.int32(): types.IntegerType(),
        pa.int64(): types.LongType(),
        pa.binary(): types.BinaryType(),
    }
    if unknown := [field.name for field in schema if field.type not in known]:
        raise IntegrityError(
            f"no Spark type is declared for the column {unknown[0]}",
            expected=", ".join(map(str, known)),
            got=str(schema.field(unknown[0]).type),
        )
    return types.StructType([types.StructField(each.name, known[each.type]) for each in schema])


def exactly(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch that has these columns, in this order, with these types.

    Raises:
        IntegrityError: it has others. No value is ever cast, except to another form of the same.
    """
    columns = [
        column.cast(field.type) if _FORMS.get(column.type) == field.type else column
        for column, field in zip(batch.columns, schema, strict=False)
    ]
    there = list(zip(batch.schema.names, (column.type for column in columns), strict=False))
    wanted = [(field.name, field.type) for field in schema]
    if there != wanted or batch.num_columns != len(schema):
        got = ", ".join(f"{field.name} {field.type}" for field in batch.schema)
        raise IntegrityError(
            f"a batch has other columns than were declared, no row of it was used: got {got}",
            expected=", ".join(f"{name} {kind}" for name, kind in wanted),
            got=got,
            do="an engine or a kernel changed a type; nothing was committed",
        )
    return pa.record_batch(columns, names=schema.names)


def mapped(kernel: Kernel) -> Task:
    """Return a kernel as a function for `mapInArrow`."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in bounded(batches):
            yield kernel(batch)

    return task


def bounded(
    batches: Iterable[pa.RecordBatch], *, rows: int = MOST_ROWS, size: int = MOST_BYTES
) -> Iterator[pa.RecordBatch]:
    """Return the same rows in the same order: small batches joined, large ones split.

    None empty, none larger than one row needs.
    """
    waiting: list[pa.RecordBatch] = []
    waiting_rows = waiting_bytes = 0
    for part in _split(batches, rows, size):
        part_bytes = part.nbytes
        if waiting and (waiting_rows + part.num_rows > rows or waiting_bytes + part_bytes > size):
            yield _joined(waiting)
            waiting, waiting_rows, waiting_bytes = [], 0, 0
        waiting.append(part)
        waiting_rows += part.num_rows
        waiting_bytes += part_bytes
    if waiting:
        yield _joined(waiting)


def _split(batches: Iterable[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            count = min(rows, batch.num_rows - start)
            while count > 1 and batch.slice(start, count).nbytes > size:
                count //= 2
            yield batch.slice(start, count)
            start += count


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
