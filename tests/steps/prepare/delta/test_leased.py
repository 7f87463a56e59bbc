"""Keys that end before the work does: what is done stays done, and the rest gets new keys."""

import copy
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.governance.errors import CredentialsExpired
from steps.governance.storage import leases
from steps.governance.storage.leases import Lending, Lent, is_due, is_over
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now
from steps.prepare.delta import data_files, raw_files
from steps.prepare.delta.staging import first_pass, kept, leased, segments, tasks
from steps.prepare.delta.staging.first_pass import Source, staging
from steps.prepare.delta.staging.interface import Kernel
from steps.prepare.delta.staging.tasks import Where

LIFE = 3600.0
SCHEMA = pa.schema([("kind", pa.string()), ("value", pa.string())])


class Clock:
    """The time that keys are compared with, in seconds since now."""

    def __init__(self) -> None:
        self.start, self.passed = utc_now(), 0.0

    def time(self) -> float:
        return self.start.timestamp() + self.passed

    def access(self) -> Access:
        """Return an access whose keys are k1, k2, … of one hour."""
        vended: list[int] = []

        def vend() -> Credential:
            vended.append(1)
            now = self.start + timedelta(seconds=self.passed)
            ends = now + timedelta(seconds=LIFE)
            return Credential(f"k{len(vended)}", "s3cret", "t0ken", now, ends)

        def now() -> Any:
            return self.start + timedelta(seconds=self.passed)

        return Access("/nowhere", vend, now=now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(leases, "time", found)
    return found


def test_a_task_gets_keys_with_most_of_their_life_and_no_way_to_renew_them(clock: Clock) -> None:
    lending = Lending(clock.access())
    for passed, key in ((0, "k1"), (LIFE * 0.24, "k1"), (LIFE * 0.26, "k2")):
        clock.passed = passed
        lending.renew()
        lent = copy.copy(lending)  # as a pickle makes it
        assert type(lent) is Lent
        assert dict(lent) == dict(lending)
        assert lent["AWS_ACCESS_KEY_ID"] == key
        assert not is_due(lent, {})
    assert "s3cret" not in f"{lent!r} {lending!r} {lent} {lending}"
    clock.passed = LIFE * 0.26 + LIFE * 0.7
    assert is_due({}, lent)
    assert not is_over(lent)
    clock.passed = LIFE * 1.3
    assert is_over(lent)
    assert not is_due({})


def source(rows: int, read: list[str]) -> Callable[[Iterable[pa.RecordBatch]], Any]:
    """Return a task that reads, for each number, rows `<number>.<row>`, three in a batch."""

    def batches(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in (each for batch in numbers for each in batch.column(0).to_pylist()):
            values = [f"{number}.{row}" for row in range(rows)]
            for start in range(0, rows, 3):
                read.append(f"{number}.{start}")
                yield pa.record_batch([pa.array(values[start : start + 3])], names=["VALUE"])

    return batches


class Pass:
    """The first pass over three numbers of ten rows in one task, until nothing is left."""

    def __init__(self, folder: Path, clock: Clock, seconds_a_batch: float = 0) -> None:
        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            clock.passed += seconds_a_batch
            kinds = pa.array(["row"] * batch.num_rows)
            return pa.record_batch([kinds, batch["value"]], schema=SCHEMA)

        self.folder, self.keys = folder, Lending(clock.access())
        self.kernel = Kernel(run, SCHEMA, ("row",))
        self.read, self.paths, self.actions = list[str](), list[str](), 0

    def run(self, left: leased.Left) -> leased.Left:
        self.actions += 1
        where = Where(str(self.folder), copy.copy(self.keys))
        given = Source(3, source(10, self.read), "read", self.keys)
        task = staging(where, "staged-", self.kernel, given, left)
        numbers = pa.record_batch([pa.array(range(len(left)), pa.int64())], names=["id"])
        found = [row for batch in task([numbers]) for row in batch.to_pylist()]
        self.paths += [row["path"] for row in found if row["path"]]
        return {row["left"]: row["done"] for row in found if not row["path"]}

    def rows(self) -> list[str]:
        leased.until_done({0: 0, 1: 0, 2: 0}, self.run, (self.keys,), doing="read")
        tables = [pq.read_table(self.folder / path) for path in self.paths]
        return sorted(value for table in tables for value in table["value"].to_pylist())


ALL = sorted(f"{number}.{row}" for number in range(3) for row in range(10))


@pytest.mark.parametrize("seconds_a_batch", [0, 200, 900, 3000])
@pytest.mark.parametrize("file_bytes", [1, 80, 1 << 20])
def test_an_interrupted_pass_stages_each_row_once(
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds_a_batch: float,
    file_bytes: int,
) -> None:
    monkeypatch.setattr(tasks, "FILE_BYTES", file_bytes)
    made = Pass(tmp_path, clock, seconds_a_batch)
    assert made.rows() == ALL
    assert (made.actions > 1) == (seconds_a_batch > 0)
    if seconds_a_batch == 3000:
        assert made.actions >= 12  # a batch each


def test_rows_of_a_file_that_was_refused_when_the_keys_had_ended_are_made_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FILE_BYTES", 1)
    made, real, refused = Pass(tmp_path, clock), data_files.put, list[str]()

    def put(files: Any, path: str, content: bytes) -> None:
        if len(made.paths) + len(refused) == 0 or (len(refused) == 1 and made.actions == 2):
            refused.append(path)
            clock.passed += LIFE * 2
            raise PermissionError("AccessDenied")
        real(files, path, content)

    monkeypatch.setattr(segments, "put", put)
    assert made.rows() == ALL
    assert len(refused) == 2
    assert made.actions == 3


def test_a_refusal_while_the_keys_are_good_is_an_error(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(*_: Any) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(segments, "put", put)
    with pytest.raises(PermissionError):
        Pass(tmp_path, clock).rows()


def test_a_pass_without_progress_ends_with_the_reason(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(*_: Any) -> None:
        clock.passed += LIFE * 2
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(segments, "put", put)
    made = Pass(tmp_path, clock)
    with pytest.raises(CredentialsExpired, match=r"3 attempts without progress.*3600 s"):
        made.rows()
    assert made.actions == 3


def test_a_source_without_an_order_is_never_left_in_the_middle(
    tmp_path: Path, clock: Clock
) -> None:
    read = list[str]()
    where = Where(str(tmp_path), Lending(clock.access()))
    kernel = Pass(tmp_path, clock).kernel
    clock.passed = LIFE * 0.9
    task = staging(where, "s-", kernel, Source(1, source(10, read), "scan", None), {0: 0})
    (report,) = task([pa.record_batch([pa.array([0])], names=["id"])])
    assert report["rows"].to_pylist() == [10]


def test_files_are_read_back_while_the_keys_are_not_due(tmp_path: Path, clock: Clock) -> None:
    for name in ("a", "b"):
        pq.write_table(pa.table({"n": [1, 2]}), tmp_path / name)
    lending = Lending(clock.access())
    task = data_files.hashing(str(tmp_path), lending, ["a", "b"])
    numbers = pa.record_batch([pa.array([0, 1])], names=["id"])
    found = task([numbers])
    first = next(iter(found))
    assert first["path"].to_pylist() == ["a"]
    clock.passed = LIFE * 0.9
    assert list(found) == []


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_an_action_whose_keys_ended_is_run_again_as_a_whole(clock: Clock, failures: int) -> None:
    keys, used = Lending(clock.access()), list[str]()

    def action() -> str:
        used.append(keys["AWS_ACCESS_KEY_ID"])
        if len(used) <= failures:
            clock.passed += LIFE
            raise ValueError("a task failed")
        return "rows"

    if failures == 3:
        with pytest.raises(CredentialsExpired, match="before Spark can write"):
            leased.again(action, (keys,), doing="write")
    else:
        assert leased.again(action, (keys,), doing="write") == "rows"
    assert used == [f"k{number + 1}" for number in range(min(failures + 1, 3))]


def test_an_action_that_fails_with_good_keys_is_not_repeated(clock: Clock) -> None:
    keys, calls = Lending(clock.access()), list[int]()

    def action() -> None:
        calls.append(1)
        raise ValueError("a task failed")

    with pytest.raises(ValueError, match="a task failed"):
        leased.again(action, (keys,), doing="write")
    assert calls == [1]


def test_the_report_has_the_columns_of_a_file_and_of_what_is_left() -> None:
    assert first_pass.REPORT.names == [*segments.WRITTEN.names, "left", "done"]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("reads", ["raw files", "committed files"])
def test_a_file_whose_reading_outlives_the_keys_is_left_for_new_ones(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: str, *, ended: bool
) -> None:
    for name in ("a", "b"):
        pq.write_table(pa.table({"value": [name]}), tmp_path / f"{name}.parquet")
    module, name = (raw_files, "_look_at") if reads == "raw files" else (data_files, "_read_back")
    real = getattr(module, name)

    def slow(files: Any, path: str, *known: Any) -> Any:
        if path == "b.parquet":
            clock.passed += LIFE if ended else 1
            raise OSError("access denied")
        return real(files, path, *known)

    monkeypatch.setattr(module, name, slow)
    keys, paths = Lending(clock.access()), ["a.parquet", "b.parquet"]
    task = (
        raw_files._looking(str(tmp_path), keys, paths, {}, [0, 1])
        if reads == "raw files"
        else data_files.hashing(str(tmp_path), keys, paths)
    )
    numbers = [pa.record_batch([pa.array([0, 1], pa.int64())], names=["id"])]
    if not ended:
        with pytest.raises(OSError, match="access denied"):
            list(task(numbers))
        return
    assert sum(batch.num_rows for batch in task(numbers)) == 1, "the other file is left"


def test_staged_files_are_deleted_with_new_keys_when_theirs_end(
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(40):
        (tmp_path / f"staged-a-{number}.parquet").touch()
    (tmp_path / "staged-b-0.parquet").touch()
    real, keys = data_files.file_system(str(tmp_path), {}), Lending(clock.access())

    class Store:
        """Deletes a file in a tenth of the keys' life, and refuses keys that have ended."""

        def __init__(self, lent: Lent) -> None:
            self.lent, self.get_file_info = lent, real.get_file_info

        def delete_file(self, path: str) -> None:
            clock.passed += LIFE / 10
            if is_over(self.lent):
                raise PermissionError("ExpiredToken")
            real.delete_file(path)

    monkeypatch.setattr(data_files, "file_system", lambda _, lent: Store(copy.copy(lent)))
    target = SimpleNamespace(location=str(tmp_path), name="a.b.c")
    kept._delete(target, "staged-a-", keys)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["staged-b-0.parquet"]
    assert "left for VACUUM" not in caplog.text
    assert keys["AWS_ACCESS_KEY_ID"] > "k3"
