"""Cost follows rows, not files: grouping, number of reads and batch size."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.governance.errors import GovernanceError
from steps.prepare.arrow_tasks import bounded, mapped, struct
from steps.prepare.delta import raw_rows
from steps.prepare.filings import decision, judge
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.decisions import decided

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@given(st.lists(st.integers(0, 40 << 20), max_size=60), st.integers(1, 8))
def test_every_file_is_in_one_group_and_no_group_is_too_large(sizes: list[int], tasks: int) -> None:
    groups = raw_rows.grouped(sizes, tasks=tasks)
    assert [number for group in groups for number in group] == list(range(len(sizes)))
    assert all(
        len(group) == 1 or sum(sizes[number] for number in group) <= raw_rows._TASK_BYTES
        for group in groups
    )


def test_many_small_files_share_a_few_tasks_and_few_large_ones_do_not() -> None:
    assert [len(group) for group in raw_rows.grouped([30_000] * 620, tasks=2)] == [310, 310]
    assert [len(group) for group in raw_rows.grouped([1] * 1_200, tasks=1)] == [500, 500, 200]
    assert len(raw_rows.grouped([12 << 20] * 5, tasks=2)) == 5
    assert len(raw_rows.grouped([1 << 20] * 4, tasks=4)) == 4
    assert raw_rows.grouped([], tasks=4) == []


def written(folder: Path, rows: int, **columns: Any) -> list[raw_rows.Piece]:
    """Write one file per row; return the files as the log would list them."""
    files = []
    for number in range(rows):
        path = folder / f"part {number}.parquet"
        pq.write_table(pa.table({"cik": [str(number)]} | columns), path)
        files.append(raw_rows.Piece(path.name.replace(" ", "%20"), path.stat().st_size))
    return files


def test_small_files_come_as_one_batch_and_each_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[raw_rows.Piece] = []

    def counted(store: Any, piece: raw_rows.Piece, *rest: Any) -> Iterator[pa.RecordBatch]:
        opened.append(piece)
        return real(store, piece, *rest)

    real = raw_rows._of_piece
    monkeypatch.setattr(raw_rows, "_of_piece", counted)
    files = written(tmp_path, 100)
    task = raw_rows.reading(str(tmp_path), {}, files, [range(60), range(60, 100)], ["cik"])
    batches = list(task([pa.record_batch({"id": [0, 1]})]))
    assert [batch.num_rows for batch in batches] == [100]
    assert batches[0]["cik"].to_pylist() == [str(number) for number in range(100)]
    assert len(opened) == len(set(opened)) == 100


def test_a_large_file_is_read_like_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = raw_rows.reading(str(tmp_path), {}, written(tmp_path, 3), [[0, 1, 2]], ["sic", "CIK"])
    (small,) = task([pa.record_batch({"id": [0]})])
    monkeypatch.setattr(raw_rows, "_WHOLE_BYTES", 0)
    (large,) = task([pa.record_batch({"id": [0]})])
    assert small.to_pydict() == large.to_pydict() == {"sic": [None] * 3, "CIK": ["0", "1", "2"]}


@pytest.mark.parametrize("groups_in_it", [1, 2, 7])
def test_a_file_that_is_too_large_for_a_task_is_read_by_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups_in_it: int
) -> None:
    rows = pa.table({"cik": [str(number) for number in range(70)]})
    pq.write_table(rows, tmp_path / "large.parquet", row_group_size=-(-70 // groups_in_it))
    size = (tmp_path / "large.parquet").stat().st_size
    monkeypatch.setattr(raw_rows, "_TASK_BYTES", -(-size // 3))
    pieces = raw_rows.pieces([("large.parquet", size), ("small.parquet", 1)])
    assert [piece.path for piece in pieces] == ["large.parquet"] * 3 + ["small.parquet"]
    assert raw_rows.grouped([piece.size for piece in pieces[:3]], tasks=1) == [[0], [1], [2]]
    read = raw_rows.reading(str(tmp_path), {}, pieces, [[0], [1], [2]], ["cik"])
    found = [list(read([pa.record_batch({"id": [task]})])) for task in range(3)]
    assert pa.Table.from_batches([batch for task in found for batch in task]) == rows
    assert sum(map(bool, found)) == min(groups_in_it, 3)


def test_a_file_with_two_spellings_of_a_column_is_refused(tmp_path: Path) -> None:
    task = raw_rows.reading(str(tmp_path), {}, written(tmp_path, 1, Cik=["x"]), [[0]], ["CIK"])
    with pytest.raises(GovernanceError, match="column CIK cannot be read from data file part 0"):
        list(task([pa.record_batch({"id": [0]})]))


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8),
    st.integers(1, 6),
    st.integers(8, 200),
)
def test_bounded_batches_hold_the_same_rows_within_rows_and_bytes(
    lengths: list[list[int]], rows: int, size: int
) -> None:
    batches = [
        pa.record_batch({"text": pa.array(["x" * length for length in batch], pa.string())})
        for batch in lengths
    ]
    found = list(bounded(batches, rows=rows, size=size))
    assert [text for batch in found for text in batch["text"].to_pylist()] == [
        "x" * n for batch in lengths for n in batch
    ]
    assert all(1 <= batch.num_rows <= rows for batch in found)
    assert all(batch.num_rows == 1 or batch.nbytes <= size for batch in found)


def test_a_kernel_gets_few_filings_at_a_time_however_many_the_engine_hands_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def kernel(batch: pa.RecordBatch) -> pa.RecordBatch:
        seen.append(batch.num_rows)
        return batch

    whole = pa.record_batch({"text": ["x" * 1_000_000] * 200})
    list(mapped(kernel)([whole, whole.slice(0, 0)]))
    assert sum(seen) == 200
    assert max(seen) <= 4


@pytest.mark.spark
def test_texts_end_in_the_kernel(spark: "SparkSession") -> None:
    """Spark shuffles examples, each of a few thousand characters, and no section."""
    row = fakes.filing(1001, 2021, item_1a=fakes.section("Company 1001", 300))
    found = judge.kernel(pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA))
    assert found.num_rows == 301
    sizes = [sum(len(str(value)) for value in one.values()) for one in found.to_pylist()]
    assert max(sizes) < 12_000 < len(str(row["item_1a"]))


@pytest.mark.spark
def test_rejected_rows_with_nothing_in_common_share_no_window(spark: "SparkSession") -> None:
    """10,000 rows without text, date or name: each has a unique key, and each comes out once."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    empty = pa.Table.from_pylist(
        [dict.fromkeys(fakes.RAW_COLUMNS)] * 10_000, schema=fakes.RAW_SCHEMA
    )
    raw = spark.createDataFrame(empty.to_pandas().astype(object)).selectExpr(*fakes.RAW_COLUMNS)
    window = decision._window(F.col("reason").isNull(), "filing_id", "row")
    made = raw.mapInArrow(mapped(judge.kernel), struct(judge.SCHEMA)).toArrow()
    numbered = made.append_column("row", pa.array(range(made.num_rows), pa.int64()))
    together = spark.createDataFrame(numbered).select(F.count(F.lit(1)).over(window).alias("rows"))
    assert together.agg(F.max("rows")).collect()[0][0] == 1
    found = decided(raw).groupBy("kind", "reason").count().collect()
    assert found == [("filing", "invalid_record", 10_000)]
