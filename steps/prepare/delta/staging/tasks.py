"""Rows of a kernel in files that no commit names, so that nothing is computed twice.

    keeping(location, options, prefix, kept)                    # rows in, files out
    reading(location, options, groups, columns)                 # their columns, and `row`
    taking(location, options, files, columns)                   # the wanted rows of them

Each function makes a task for `mapInArrow`; the vended keys travel inside it
(`steps.prepare.delta.data_files`), and so do the names of the files that it reads, no others. The
files have the form of `segments`. The kernel's rows are written by `first_pass`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from steps.prepare.arrow_tasks import bounded, exactly
from steps.prepare.delta.data_files import Batches, Task, file_system
from steps.prepare.delta.staging.interface import CARRIED
from steps.prepare.delta.staging.segments import WRITTEN, Stack, columns_of, put_shards
from steps.prepare.rounds.shards import Sharding

FILE_BYTES = 16 << 20  # of Arrow data, in memory
_KEYS_AT_ONCE, _EXAMPLES_AT_ONCE = 8_192, 2_048  # rows of a batch
ROW_BITS = 32  # `row` is the number of the file, then the position in it


class Where(NamedTuple):
    """A table's location, and delta-rs options with its keys."""

    location: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """Rows that are kept as a kind: their columns, and their shards if there are several."""

    kind: str
    schema: pa.Schema
    sharding: Sharding | None = None


def selected(schema: pa.Schema, names: Sequence[str], *others: pa.Field) -> pa.Schema:
    """Return these columns of a kernel's schema, and the others."""
    return pa.schema([*(schema.field(name) for name in names), *others])


def keeping(location: str, options: Mapping[str, str], prefix: str, kept: Kept) -> Task:
    """Return a task that writes its rows, some MB a file, each shard as a segment."""

    def keep(batches: Batches) -> Iterator[pa.RecordBatch]:
        store = file_system(location, options)
        for rows in _gathered(exactly(batch, kept.schema) for batch in batches):
            table = pa.Table.from_batches(rows, schema=kept.schema)
            shards = _sharded(table, kept.sharding)
            report = put_shards(store, f"{prefix}{kept.kind}", shards, kind=kept.kind)
            yield pa.RecordBatch.from_pylist(report, schema=WRITTEN)

    return keep


def _sharded(table: pa.Table, sharding: Sharding | None) -> Iterator[tuple[int, pa.Table]]:
    """Yield the rows of each shard, in their order."""
    if sharding is None:
        yield 0, table
        return
    column = table[sharding.by]
    if sharding.of_rows:
        numbers = column.to_numpy() >> ROW_BITS
    else:
        numbers = pl.Series(column).hash(seed=0).to_numpy()
    shards = (numbers % sharding.of).astype(np.int64)
    ordered = table.take(pa.array(np.argsort(shards, kind="stable"))).combine_chunks()
    found, counts = np.unique(shards, return_counts=True)
    first = 0
    for shard, count in zip(found.tolist(), counts.tolist(), strict=True):
        yield shard, ordered.slice(first, count)
        first += count


def _gathered(batches: Batches) -> Iterator[list[pa.RecordBatch]]:
    """Yield the batches that a file holds, together."""
    waiting, size = list[pa.RecordBatch](), 0
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
            size += batch.nbytes
        if size >= FILE_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def reading(
    location: str,
    options: Mapping[str, str],
    groups: Sequence[Sequence[tuple[int, Stack]]],
    columns: Sequence[str],
) -> Task:
    """Return a task that reads groups of numbered stacks: the columns, and `row` if not one."""

    def read(numbers: Batches) -> Iterator[pa.RecordBatch]:
        store = file_system(location, options)
        for batch in numbers:
            for number, stack in (
                one for group in batch.column(0).to_pylist() for one in groups[group]
            ):
                table = _table(store, stack, columns)
                if "row" not in columns:
                    first = number << ROW_BITS
                    rows = pa.array(range(first, first + table.num_rows), pa.int64())
                    table = table.append_column("row", rows)
                yield from table.to_batches()

    return lambda numbers: bounded(read(numbers), rows=_KEYS_AT_ONCE)


def taking(
    location: str, options: Mapping[str, str], files: Sequence[Stack], columns: Sequence[str]
) -> Task:
    """Return a task that looks up its rows (`row`, `CARRIED`), file by file."""

    def take(batches: Batches) -> Iterator[pa.RecordBatch]:
        filled = [batch.select(["row", *CARRIED]) for batch in batches if batch.num_rows]
        if not filled:
            return
        wanted = pa.Table.from_batches(filled).sort_by("row")
        store = file_system(location, options)
        numbers = pc.shift_right(wanted["row"], pa.scalar(ROW_BITS, pa.int64()))
        start = 0
        for number, count in zip(*_runs(numbers), strict=True):
            rows = wanted.slice(start, count)
            start += count
            positions = pc.bit_wise_and(rows["row"], pa.scalar((1 << ROW_BITS) - 1, pa.int64()))
            table = _table(store, files[number], columns).take(positions)
            for name in CARRIED:
                table = table.append_column(name, rows[name])
            yield from table.combine_chunks().to_batches()

    return lambda batches: bounded(take(batches), rows=_EXAMPLES_AT_ONCE)


def _runs(ordered: pa.ChunkedArray) -> tuple[list[int], list[int]]:
    """Return the values of a sorted column, and how often each is there."""
    encoded = pc.run_end_encode(ordered.combine_chunks())
    ends = encoded.run_ends.to_pylist()
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    return encoded.values.to_pylist(), counts


def _table(store: "pa.fs.FileSystem", stack: Stack, columns: Sequence[str]) -> pa.Table:
    """Return the columns, from those parts only that have one of them."""
    wanted = ((part, [name for name in part.columns if name in columns]) for part in stack)
    found = {
        name: column
        for segment, names in wanted
        if names
        for name, column in zip(names, columns_of(store, segment, names), strict=True)
    }
    return pa.table([found[name] for name in columns], names=list(columns))
