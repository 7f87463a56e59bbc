"""The raw files are listed by the bytes that were read; a change during the job is noticed."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from steps.governance.errors import IntegrityError, NotFound
from steps.prepare.delta import raw_files
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
LONG_AGO = 1_600_000_000  # s


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def of_disk(root: Path) -> list[tuple[str, int, str]]:
    return sorted(
        (
            str(path.relative_to(root)),
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in root.rglob("*.parquet")
    )


def test_every_file_of_the_version_is_listed_by_its_bytes_and_no_other(world: World) -> None:
    expected = of_disk(world.raw)
    fakes.raw_table(world.raw, [fakes.filing(1010, 2021)], files=1)
    prepared = world.run(raw_version=1)
    found = [(file.path, file.size, file.sha256) for file in prepared.raw_files or []]
    assert found == expected
    assert len(found) == 2


def test_paths_are_those_of_the_log(spark: "SparkSession", tmp_path: Path) -> None:
    rows = pa.Table.from_pylist(
        [row | {"state_of_inc": "D E/%"} for row in fakes.corpus()], schema=fakes.RAW_SCHEMA
    )
    write_deltalake(str(tmp_path / "raw"), rows, partition_by=["state_of_inc"])
    world = World(spark, tmp_path, raw=tmp_path / "raw")
    (file,) = world.run().raw_files or []
    log = pa.table(DeltaTable(str(world.raw)).get_add_actions(flatten=True))
    assert [file.path] == log["path"].to_pylist()
    assert "%25" in file.path
    assert (file.size, file.sha256) == of_disk(world.raw)[0][1:]


def swapped(world: World, how: str) -> None:
    """Write other bytes with the same size and, at most, the same time."""
    path = next(world.raw.rglob("*.parquet"))
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if how == "same time":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("age", "how"), [("old", "another time"), ("new", "another time"), ("new", "same time")]
)
def test_a_file_that_changes_while_it_is_read_leaves_no_manifest(
    world: World, monkeypatch: pytest.MonkeyPatch, age: str, how: str
) -> None:
    if age == "old":
        for path in world.raw.rglob("*.parquet"):
            os.utime(path, (LONG_AGO, LONG_AGO))
    real = raw_files.unchanged

    def unchanged(*arguments: Any) -> Any:
        swapped(world, how)
        return real(*arguments)

    monkeypatch.setattr(raw_files, "unchanged", unchanged)
    with pytest.raises(IntegrityError, match="was changed while it was read") as refused:
        world.run()
    assert "sha256" in str(refused.value)
    assert not world.evidence.documents


def test_a_settled_file_is_read_once_for_its_digest_and_a_new_one_twice(
    spark: "SparkSession", world: World
) -> None:
    old, new = sorted(world.raw.rglob("*.parquet"))
    os.utime(old, (LONG_AGO, LONG_AGO))
    store, place = world.store, places(world)
    before = raw_files.hashed(spark, place, store.files(place, 1))
    assert [file.settled for file in before] == [True, False]
    assert [(file.path, file.size, file.sha256) for file in before] == of_disk(world.raw)
    known = {0: before[0]}
    assert _read(world, before, known) == [new.name]
    assert list(raw_files.unchanged(spark, place, before)) == [file.entry for file in before]


def test_bytes_that_were_written_again_are_no_change(spark: "SparkSession", world: World) -> None:
    for path in world.raw.rglob("*.parquet"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    place = places(world)
    before = raw_files.hashed(spark, place, world.store.files(place, 1))
    for path in world.raw.rglob("*.parquet"):
        path.write_bytes(path.read_bytes())
    assert [file.sha256 for file in raw_files.unchanged(spark, place, before)] == [
        file.sha256 for file in before
    ]


def test_a_deleted_file_is_reported_as_deleted(world: World) -> None:
    next(world.raw.rglob("*.parquet")).unlink()
    with pytest.raises(NotFound, match="its files were deleted"):
        world.run()


def places(world: World) -> Any:
    from steps.governance.names import UcName
    from steps.prepare.places import source

    return source(world.catalog, UcName.parse("edgar.raw.filings"))  # type: ignore[arg-type]


def _read(world: World, before: Any, known: Any) -> list[str]:
    """The names of the files that the second look reads."""
    place, read = places(world), list[str]()
    real = raw_files._digest

    def digest(files: Any, path: str) -> tuple[int, str]:
        read.append(path)
        return real(files, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_files, "_digest", digest)
        paths = [file.path for file in before]
        task = raw_files._looking(
            place.location, place.access.storage_options(), paths, known, [0, 1]
        )
        numbers = pa.record_batch([pa.array([0, 1])], names=["id"])
        assert [batch.num_rows for batch in task([numbers])] == [2]
    return read
