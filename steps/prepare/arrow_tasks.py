"""Between Spark and the Arrow kernels."""

from collections.abc import Callable, Iterator

import pyarrow as pa

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]


def mapped(kernel: Kernel) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A kernel as `mapInArrow` takes it."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield kernel(batch)

    return task
