"""The raw version's files by the sha256 of their bytes, and whether they stayed the same.

    before = hashed(spark, place, paths)         # before the first row is read
    files = unchanged(spark, place, before)      # after the last row was read: list[FileEntry]

The bytes that were hashed must be those that were read. Spark's tasks hash the files, and look at
them again after the reading: a file whose size and time of change are the same was not written in
between. S3 states that time in whole seconds, and clocks differ. So a file that was written shortly
before the job is hashed twice.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from steps.governance.documents.document import FileEntry
from steps.governance.errors import IntegrityError
from steps.governance.storage.leases import Lending
from steps.prepare.arrow_tasks import map_in_arrow
from steps.prepare.delta.data_files import Batches, Task, file_system
from steps.prepare.delta.staging import leased
from steps.prepare.delta.staging.leased import Left, begun
from steps.prepare.delta.store import Place
from steps.prepare.session import at_most, translated

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("changed_ns", pa.int64()),
    ]
)
_BUFFER_BYTES = 1 << 20
_SETTLED_NS = 300 * 10**9  # a file that was changed later than this before the job may change again
_FEWEST_TASKS, _FILES_IN_A_TASK = 16, 100


@dataclass(frozen=True)
class Hashed:
    """A file's path as the log has it, its bytes' digest, and when it was changed (epoch, ns).

    `settled` means that another change would have another time.
    """

    path: str
    size: int
    sha256: str
    changed_ns: int
    settled: bool

    @property
    def entry(self) -> FileEntry:
        """The file as the manifest lists it."""
        return FileEntry(path=self.path, size=self.size, sha256=self.sha256)


def hashed(spark: "SparkSession", place: Place, paths: Sequence[str]) -> tuple[Hashed, ...]:
    """Hash the files at these paths below the table's location, in the order of their paths."""
    ordered, started = sorted(paths), time.time_ns()
    found = _seen(spark, place, ordered, known={})
    return tuple(
        Hashed(path, size, sha256, changed, settled=changed < started - _SETTLED_NS)
        for path, (size, sha256, changed) in zip(ordered, found, strict=True)
    )


def unchanged(
    spark: "SparkSession", place: Place, before: Sequence[Hashed]
) -> tuple[FileEntry, ...]:
    """Return the files, if none was changed since `before`.

    Raises:
        IntegrityError: a file has other bytes now.
    """
    known = {number: file for number, file in enumerate(before) if file.settled}
    found = _seen(spark, place, [file.path for file in before], known=known)
    for file, (size, sha256, _) in zip(before, found, strict=True):
        if (size, sha256) != (file.size, file.sha256):
            raise IntegrityError(
                f"a data file of table {place.name} was changed while it was read: {file.path}",
                expected=f"{file.size} bytes, sha256 {file.sha256}",
                got=f"{size} bytes, sha256 {sha256}",
                do="find out who writes to the table's folder; then start a new execution",
            )
    return tuple(file.entry for file in before)


def _seen(
    spark: "SparkSession", place: Place, paths: Sequence[str], *, known: Mapping[int, Hashed]
) -> list[tuple[int, str, int]]:
    """Return size, sha256 and time of change of each file."""
    if not paths:
        return []
    keys, found = Lending(place.access), dict[int, tuple[int, str, int]]()

    def run(left: Left) -> Left:
        tasks = at_most(min(len(left), max(_FEWEST_TASKS, len(left) // _FILES_IN_A_TASK)))
        task = _looking(place.location, keys, paths, known, list(left))
        rows = map_in_arrow(spark.range(0, len(left), 1, tasks), task, _SCHEMA).collect()
        for row in rows:
            found[row["number"]] = row["size"], row["sha256"], row["changed_ns"]
        return {number: 0 for number in left if number not in found}

    doing = f"hash the data files of table {place.name}"
    with translated(doing):
        leased.until_done(dict.fromkeys(range(len(paths)), 0), run, (keys,), doing=doing)
    return [found[number] for number in range(len(paths))]


def _looking(
    location: str,
    options: Mapping[str, str],
    paths: Sequence[str],
    known: Mapping[int, Hashed],
    wanted: Sequence[int],
) -> Task:
    """Return a task that looks at wanted files by position; one that is as known is not read again.

    It does not begin with a file when the keys are due.
    """

    def look(numbers: Batches) -> Batches:
        files = file_system(location, options)
        for batch in numbers:
            found = []
            for position in begun(batch.column(0).to_pylist(), options):
                number = wanted[position]
                with leased.left_when_over(options):
                    seen = _look_at(files, unquote(paths[number]), known.get(number))
                    found.append({"number": number, **seen})
            yield pa.RecordBatch.from_pylist(found, schema=_SCHEMA)

    return look


def _look_at(files: "pa.fs.FileSystem", path: str, earlier: Hashed | None) -> dict[str, str | int]:
    info = files.get_file_info(path)
    if earlier and (info.size, info.mtime_ns) == (earlier.size, earlier.changed_ns):
        size, sha256 = earlier.size, earlier.sha256
    else:
        size, sha256 = _digest(files, path)
    return {"size": size, "sha256": sha256, "changed_ns": info.mtime_ns or 0}


def _digest(files: "pa.fs.FileSystem", path: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with files.open_input_file(path) as source:
        while block := source.read(_BUFFER_BYTES):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()
