"""The error of a task holds nothing of the input: Sail frees it on the thread of the task."""

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from steps.prepare.arrow_tasks import bounded, map_in_arrow

SCHEMA = pa.schema([("number", pa.int64())])


class Input:
    """Batches, as the engine's own object."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array([1, 2])], schema=SCHEMA)


class Frame:
    """Takes the function that an engine would run."""

    def mapInArrow(self, task: Any, _: str) -> Any:  # noqa: N802 - Spark's name
        return task


def fails(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise ValueError(batch.num_rows)


def stops(batch: pa.RecordBatch) -> pa.RecordBatch:
    try:
        return fails(batch)
    except ValueError as error:
        raise KeyboardInterrupt from error


@pytest.mark.parametrize("kernel", [fails, stops])
def test_the_input_is_free_while_the_error_is_held(
    kernel: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> None:
    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in bounded(batches):
            yield kernel(batch)

    run: Any = map_in_arrow(Frame(), task, SCHEMA)  # type: ignore[arg-type]
    given = Input()
    there = weakref.ref(given)
    rows = run(given)
    del given
    gc.disable()  # a cycle would be freed later, on any thread
    try:
        with pytest.raises((ValueError, KeyboardInterrupt)) as held:
            next(rows)
        del rows
        assert there() is None
        assert held.value.__traceback__ is not None
    finally:
        gc.enable()
