"""Bound the size of Arrow batches between Spark and the kernels.

An Arrow string column holds at most 2 GiB, and a filing's section may have megabytes: the 8,192
rows of an engine's batch are too many. Files of one row are the other end: a kernel costs about as
much for one row as for a hundred.
"""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]

MOST_ROWS = 128
# Of Arrow data; a single row may be larger. A kernel needs some ten times as much for its own
# columns, and each of a machine's cores runs one.
MOST_BYTES = 4 << 20


def mapped(kernel: Kernel) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
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
