"""The rows that a kernel made once, as frames: from staged files, or from Spark's own disk.

    with files(spark, source, kernel, target) as staged:           # delta-rs
        staged.read("example", ["example_id"])                     # example_id, row
        staged.taken("example", wanted, ["prompt"], rows=13_000)   # prompt, split, family_id

Staged files are in the target table's folder, where no version names them: `staged-<random>-….` The
driver deletes them when the block ends. A process that is killed leaves them, and VACUUM deletes
them like any file without a commit.
"""

import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from steps.governance.delta_storage import one_line
from steps.governance.storage.leases import Lending, is_due
from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.delta import data_files
from steps.prepare.delta.raw_rows import grouped
from steps.prepare.delta.staging import first_pass, leased, tasks
from steps.prepare.delta.staging.first_pass import Source
from steps.prepare.delta.staging.interface import CARRIED, Kernel
from steps.prepare.delta.staging.leased import Left
from steps.prepare.delta.staging.segments import WRITTEN, Segment, Stack
from steps.prepare.delta.staging.tasks import Kept, Where
from steps.prepare.delta.store import Place
from steps.prepare.rounds.shards import WHOLE, Shard, Sharding
from steps.prepare.schemas import files_for
from steps.prepare.session import at_most, translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)

_FEWEST_TASKS = os.cpu_count() or 1
_DELETIONS_AT_ONCE = 16
# Decided about at once, on an engine that keeps in memory what it groups and joins: about 100 MiB.
ROWS_OF_A_SHARD = 50_000
_OF_SEGMENT = ("offset", "size", "sha256", "rows", "shard")


@dataclass(frozen=True)
class StagedFiles:
    """`Staged` over files below a table's location, by kind."""

    spark: "SparkSession"
    kernel: Kernel
    place: Place
    prefix: str
    keys: Lending
    by_kind: dict[str, list[Stack]]
    kept: dict[str, pa.Schema] = field(default_factory=dict)

    def shards(self, kind: str) -> int:
        """See `Staged`: only an engine behind Spark Connect is taken for one that does not."""
        from pyspark.sql.utils import is_remote

        return max(1, -(-self.count(kind) // ROWS_OF_A_SHARD)) if is_remote() else 1

    def count(self, kind: str) -> int:
        """See `Staged`."""
        return sum(stack[0].rows for stack in self.by_kind[kind])

    def read(self, kind: str, columns: Sequence[str], shard: Shard = WHOLE) -> "DataFrame":
        """See `Staged`."""
        files = self.by_kind[kind]
        whole = self.kept.get(kind, self.kernel.schema)
        columns = [name for name in columns if name != "row"]
        there = self._of_shard(kind, shard)
        sizes = [
            sum(part.size for part in files[at] if set(part.columns) & {*columns, "row"})
            for at in there
        ]
        groups = [
            [(there[at], files[there[at]]) for at in group]
            for group in grouped(sizes, tasks=_FEWEST_TASKS)
        ]
        numbers = self.spark.range(0, len(groups), 1, at_most(max(len(groups), 1)))
        schema = tasks.selected(whole, columns, pa.field("row", pa.int64()))
        task = tasks.reading(
            *self._where, groups, schema.names if "row" in whole.names else columns
        )
        return map_in_arrow(numbers, task, schema)

    def _of_shard(self, kind: str, shard: Shard) -> list[int]:
        """Return which files of a kind have a shard's rows."""
        if kind in self.kept and shard != WHOLE:
            stacks = enumerate(self.by_kind[kind])
            return [at for at, stack in stacks if stack[0].shard == shard.number]
        return list(range(shard.number, len(self.by_kind[kind]), shard.of))

    def keep(
        self, kind: str, rows: "DataFrame", schema: pa.Schema, sharding: Sharding | None = None
    ) -> int:
        """See `Staged`: in a file for each task, with a segment for each shard (`segments`)."""
        task = tasks.keeping(*self._where, self.prefix, Kept(kind, schema, sharding))
        made = map_in_arrow(rows.select(*schema.names), task, WRITTEN)
        found = leased.again(made.collect, (self.keys,), doing=f"keep the rows of kind {kind}")
        self.kept[kind] = schema
        self.by_kind.setdefault(kind, []).extend(_stacks(found, (tuple(schema.names),)))
        return sum(row["rows"] for row in found)

    def taken(
        self, kind: str, wanted: "DataFrame", columns: Sequence[str], *, rows: int
    ) -> "DataFrame":
        """See `Staged`: only `wanted` is shuffled, so that neighbours share a task."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

        files, parts = self.by_kind[kind], at_most(files_for(rows))
        run = F.floor(
            F.shiftright("row", tasks.ROW_BITS) * F.lit(parts) / F.lit(max(len(files), 1))
        )
        task = tasks.taking(*self._where, files, columns)
        carried = (pa.field(name, pa.string()) for name in CARRIED)
        schema = tasks.selected(self.kernel.schema, columns, *carried)
        numbers = wanted.select("row", *CARRIED).repartition(parts, run)
        return map_in_arrow(numbers, task, schema)

    @property
    def _where(self) -> Where:
        self.keys.renew()
        return Where(self.place.location, self.keys)


@contextmanager
def files(
    spark: "SparkSession", source: Source, kernel: Kernel, target: Place, keys: Lending
) -> Iterator[StagedFiles]:
    """Stage what the kernel makes of the source's rows, and delete the files in the end.

    `keys` are the target's.
    """
    prefix = f"staged-{uuid.uuid4().hex}-"
    where = Where(target.location, keys)
    found = list[Any]()

    def run(left: Left) -> Left:
        numbers = spark.range(0, len(left), 1, at_most(max(len(left), 1)))
        task = first_pass.staging(where, prefix, kernel, source, left)
        rows = map_in_arrow(numbers, task, first_pass.REPORT).collect()
        found.extend(row for row in rows if row["path"] is not None)
        return {row["left"]: row["done"] for row in rows if row["path"] is None}

    try:
        with translated(source.doing):
            lent = (keys,) if source.keys is None else (keys, source.keys)
            leased.until_done(dict.fromkeys(range(source.count), 0), run, lent, doing=source.doing)
        by_kind = {
            kind: _stacks([row for row in found if row["kind"] == kind], kernel.parts)
            for kind in kernel.kinds
        }
        yield StagedFiles(spark, kernel, target, prefix, keys, by_kind)
    finally:
        _delete(target, prefix, keys)


def _stacks(found: Iterable[Any], parts: Sequence[tuple[str, ...]]) -> list[Stack]:
    """Return the files of the same rows together; `parts` has the columns of each.

    Equal rows that were staged twice have equal paths: they are as many stacks.
    """
    ordered = sorted(found, key=lambda row: (row["first"], row["path"], row["offset"]))
    by_part = (
        [
            Segment(intern(row["path"]), columns, *(row[name] for name in _OF_SEGMENT))
            for row in ordered
            if row["part"] == part
        ]
        for part, columns in enumerate(parts)
    )
    return list(zip(*by_part, strict=True))


def _delete(target: Place, prefix: str, keys: Lending) -> None:
    """Delete what one attempt staged; what cannot be deleted is named, and VACUUM's to delete."""
    from pyarrow.fs import FileSelector

    def run(left: Left) -> Left:
        store = data_files.file_system(target.location, keys)
        with ThreadPoolExecutor(_DELETIONS_AT_ONCE) as pool:
            deleted = pool.map(lambda number: _deleted(store, paths[number], keys), left)
        return {number: 0 for number, done in zip(left, deleted, strict=True) if not done}

    try:
        keys.renew()
        there = data_files.file_system(target.location, keys).get_file_info(
            FileSelector("", allow_not_found=True)
        )
        paths = [info.path for info in there if info.base_name.startswith(prefix)]
        numbers = dict.fromkeys(range(len(paths)), 0)
        leased.until_done(numbers, run, (keys,), doing="delete the staged files")
    except Exception as error:  # noqa: BLE001 - the job's own result or error matters more
        log.warning(
            "staged files %s* of table %s are left for VACUUM: %s",
            prefix,
            target.name,
            one_line(error),
        )


def _deleted(store: "pa.fs.FileSystem", path: str, keys: Lending) -> bool:
    """Delete a file, unless the keys are due or end meanwhile; return whether it was."""
    done = False
    if not is_due(keys):
        with leased.left_when_over(keys):
            with suppress(FileNotFoundError):  # an earlier attempt's keys ended before its answer
                store.delete_file(path)
            done = True
    return done
