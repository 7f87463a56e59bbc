"""The first pass as an Arrow task: raw rows in, staged files of what the kernel makes out.

    task = staging(where, prefix, kernel, Source(count, task, doing, keys), left)

Reading, kernel and writing are one task: between two tasks an engine would gather thousands of
whole filings in one batch. The task begins no batch with keys that are due: it writes what it has
and reports, for each number that is not done, how many of its raw rows are in files. The next
action reads that number again and leaves these rows out, so the work of the kernel is not repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from steps.governance.storage.leases import Lending, is_due, is_over
from steps.prepare.delta.data_files import Batches, Task, file_system
from steps.prepare.delta.staging import tasks
from steps.prepare.delta.staging.interface import Kernel
from steps.prepare.delta.staging.leased import Left
from steps.prepare.delta.staging.segments import WRITTEN, put_parts
from steps.prepare.delta.staging.tasks import Where

REPORT = pa.schema([*WRITTEN, pa.field("left", pa.int64()), pa.field("done", pa.int64())])


@dataclass(frozen=True)
class Source:
    """What one Arrow task reads: `count` numbers, each for some of the rows of a table.

    A number gives its rows in the same order each time, except without `keys`: then nothing can
    be left for later, and the pass must end within the life of the table's keys.
    """

    count: int
    task: Task
    doing: str  # for the message of a fault
    keys: Lending | None


def staging(where: Where, prefix: str, kernel: Kernel, source: Source, left: Left) -> Task:
    """Return a task that takes positions in `left`, and writes some MB a file."""
    numbers, read = list(left), source.task
    keys = () if source.keys is None else (source.keys, where.options)

    def stage(positions: Batches) -> Iterator[pa.RecordBatch]:
        mine = [numbers[at] for batch in positions for at in batch.column(0).to_pylist()]
        rest = {number: left[number] for number in mine}
        try:
            yield from _staged(_Pass(where, prefix, kernel, read, keys), rest)
        except Exception:
            if not is_over(*keys):
                raise
        found = [{"left": number, "done": done} for number, done in rest.items()]
        if found:
            yield pa.RecordBatch.from_pylist(found, schema=REPORT)

    return stage


@dataclass(frozen=True)
class _Pass:
    where: Where
    prefix: str
    kernel: Kernel
    read: Task
    keys: Sequence[Mapping[str, str]]


def _staged(parts: _Pass, rest: Left) -> Iterator[pa.RecordBatch]:
    """Write the files; `rest` always has what is not in them yet."""
    if is_due(*parts.keys):
        return
    store = file_system(*parts.where)
    seen, waiting, size = dict(rest), list[pa.RecordBatch](), 0
    for number in list(rest):
        for batch in _after(parts.read(_one(number)), rest[number]):
            names = [name.lower() for name in batch.schema.names]
            waiting.append(parts.kernel.run(batch.rename_columns(names)))
            seen[number] += batch.num_rows
            size += waiting[-1].nbytes
            due = is_due(*parts.keys)
            if size >= tasks.FILE_BYTES or due:
                report = _written(store, parts, waiting)
                rest.clear()
                rest.update(seen)
                yield report
                waiting, size = [], 0
            if due:
                return
        del seen[number]
    if waiting:
        report = _written(store, parts, waiting)
        rest.clear()
        yield report
    rest.clear()


def _one(number: int) -> list[pa.RecordBatch]:
    return [pa.record_batch([pa.array([number], pa.int64())], names=["id"])]


def _after(batches: Batches, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows after the first ones."""
    for batch in batches:
        leaving = min(rows, batch.num_rows)
        rows -= leaving
        if leaving < batch.num_rows:
            yield batch.slice(leaving)


def _written(
    store: "pa.fs.FileSystem", parts: _Pass, batches: Sequence[pa.RecordBatch]
) -> pa.RecordBatch:
    """Write one file for each kind of rows; return their report."""
    found = []
    for kind in parts.kernel.kinds:
        rows = [batch.filter(pc.equal(batch["kind"], kind)) for batch in batches]
        if table := pa.Table.from_batches(rows, schema=parts.kernel.schema):
            apart = [table.select(names) for names in parts.kernel.parts]
            found += put_parts(store, f"{parts.prefix}{kind}", apart, kind=kind)
    return pa.RecordBatch.from_pylist(found, schema=REPORT)
