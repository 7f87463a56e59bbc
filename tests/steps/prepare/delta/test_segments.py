"""Rows that are kept in shards: one file for all shards of a task, and each read alone."""

from pathlib import Path

import pyarrow as pa
import pytest

from steps.governance.errors import IntegrityError
from steps.prepare.delta.staging import kept, tasks
from steps.prepare.delta.staging.segments import Segment, Stack
from steps.prepare.delta.staging.tasks import Kept
from steps.prepare.rounds.shards import Sharding

SHARDS = 60
SCHEMA = pa.schema([("key", pa.string()), ("row", pa.int64()), ("year", pa.int32())])
ROWS = [{"key": f"company {at % 97}", "row": at << tasks.ROW_BITS, "year": at} for at in range(900)]


def stacks(root: Path, sharding: Sharding | None) -> list[Stack]:
    """Keep `ROWS`, which come in three batches."""
    batches = pa.Table.from_pylist(ROWS, schema=SCHEMA).to_batches(300)
    task = tasks.keeping(str(root), {}, "staged-", Kept("near", SCHEMA, sharding))
    reports = [row for batch in task(batches) for row in batch.to_pylist()]
    return kept._stacks(reports, [tuple(SCHEMA.names)])


def read(root: Path, found: list[Stack], columns: list[str]) -> list[dict[str, object]]:
    number = pa.record_batch([pa.array([0], pa.int64())], names=["id"])
    task = tasks.reading(str(root), {}, [list(enumerate(found))], columns)
    return pa.Table.from_batches(task([number])).to_pylist()


def by_shard(found: list[Stack]) -> dict[int, list[Stack]]:
    shards: dict[int, list[Stack]] = {}
    for stack in found:
        shards.setdefault(stack[0].shard, []).append(stack)
    return shards


@pytest.mark.parametrize("of_rows", [False, True])
def test_all_shards_of_a_task_are_one_file_and_each_has_all_rows_of_its_keys(
    tmp_path: Path, *, of_rows: bool
) -> None:
    by = "row" if of_rows else "key"
    found = stacks(tmp_path, Sharding(by, SHARDS, of_rows=of_rows))
    assert len(list(tmp_path.iterdir())) == 1
    shards = by_shard(found)
    assert len(shards) > SHARDS / 2
    seen = {
        shard: [row["row"] for row in read(tmp_path, mine, ["row"])]
        for shard, mine in shards.items()
    }
    assert sorted(row for rows in seen.values() for row in rows) == [row["row"] for row in ROWS]
    of_key = {
        row[by]: {shard for shard, rows in seen.items() if row["row"] in rows} for row in ROWS
    }
    assert {len(where) for where in of_key.values()} == {1}
    if of_rows:
        wrong = [
            row for shard, rows in seen.items() for row in rows
            if (row >> tasks.ROW_BITS) % SHARDS != shard
        ]  # fmt: skip
        assert wrong == []


def test_rows_without_shards_come_in_their_order(tmp_path: Path) -> None:
    assert read(tmp_path, stacks(tmp_path, None), ["key", "row", "year"]) == ROWS


def test_a_segment_that_was_changed_is_noticed_and_the_others_are_read(tmp_path: Path) -> None:
    found = stacks(tmp_path, Sharding("key", SHARDS))
    broken: Segment = found[7][0]
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[broken.offset + broken.size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="is not what was written"):
        read(tmp_path, found[7:8], ["row"])
    rest = [row for stack in (*found[:7], *found[8:]) for row in read(tmp_path, [stack], ["row"])]
    assert len(rest) == len(ROWS) - broken.rows


@pytest.mark.parametrize("left", [0, 100, -1])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, left: int) -> None:
    found = stacks(tmp_path, Sharding("key", SHARDS))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:left])
    last = max(found, key=lambda stack: stack[0].offset)
    with pytest.raises(IntegrityError, match="is not what was written"):
        read(tmp_path, [last], ["row"])


def test_equal_rows_of_two_tasks_are_kept_twice(tmp_path: Path) -> None:
    found = stacks(tmp_path, Sharding("key", SHARDS)) + stacks(tmp_path, Sharding("key", SHARDS))
    assert len(read(tmp_path, found, ["row"])) == 2 * len(ROWS)
