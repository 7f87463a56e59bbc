"""Between Spark and the Arrow kernels."""

from collections.abc import Callable, Iterable

import pyarrow as pa

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]


def mapped(kernel: Kernel) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """A kernel as `mapInArrow` takes it."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield kernel(batch)

    return task
