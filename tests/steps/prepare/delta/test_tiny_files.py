"""Tiny files: the driver reads each once, and Spark's tasks get the same rows as from files."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from steps.governance.errors import GovernanceError, NotFound
from steps.prepare.delta import raw_files, raw_rows, tiny_files
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.job import Job
from tests.steps.prepare.support import fakes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = ["cik", "Company", "filing_date", "sic"]


def one_row_files(folder: Path) -> list[tuple[str, int]]:
    """Files that differ in columns, their order, their types and the case of their names."""
    shapes: tuple[dict[str, Any], ...] = (
        {"cik": "1", "Company": "a", "filing_date": date(2021, 2, 26), "sic": 100},
        {"cik": 2, "company": "b", "filing_date": "2021-02-26"},
        {"sic": "7", "COMPANY": None, "cik": "3", "unread": 1.5},
    )
    files = []
    for number in range(30):
        path = folder / f"part {number}.parquet"
        pq.write_table(pa.Table.from_pylist([shapes[number % 3 if number % 5 else 0]]), path)
        files.append((path.name.replace(" ", "%20"), path.stat().st_size))
    return files


def rows(task: Any, count: int) -> list[dict[str, Any]]:
    return [
        row
        for batch in task([pa.record_batch({"id": list(range(count))})])
        for row in batch.to_pylist()
    ]


def test_the_rows_are_those_of_the_files(tmp_path: Path) -> None:
    files, groups = one_row_files(tmp_path), [range(17), range(17, 30)]
    streams = tiny_files.gather(str(tmp_path), {}, files, groups, COLUMNS)
    assert streams is not None
    from_files = rows(
        raw_rows.reading(str(tmp_path), {}, raw_rows.pieces(files), groups, COLUMNS), 2
    )
    assert rows(tiny_files.given(streams), 2) == from_files
    assert from_files[0] == {"cik": "1", "Company": "a", "filing_date": "2021-02-26", "sic": "100"}
    assert [row["Company"] for row in from_files[1:3]] == ["b", None]


def test_few_or_large_files_are_left_to_the_tasks() -> None:
    assert tiny_files.are_tiny([3_000] * 620)
    assert not tiny_files.are_tiny([3_000] * 3)
    assert not tiny_files.are_tiny([200_000] * 20)
    assert not tiny_files.are_tiny([60_000] * 620)


def test_text_that_is_large_once_it_is_read_is_left_to_the_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_files, "_MOST_TEXT_BYTES", 100)
    assert (
        tiny_files.gather(str(tmp_path), {}, one_row_files(tmp_path), [range(30)], COLUMNS) is None
    )


def one_file_a_row(location: Path) -> Path:
    for row in fakes.corpus():
        write_deltalake(
            str(location), pa.Table.from_pylist([row], schema=fakes.RAW_SCHEMA), mode="append"
        )
    return location


def job(root: Path, raw: Path, spark: "SparkSession") -> Any:
    catalog = fakes.FolderCatalog(root)
    catalog.add("edgar.raw.filings", raw)
    return Job(
        fakes.arguments(root, raw_version=-1), catalog, DeltaRsStore(spark), fakes.MemoryEvidence()
    ).run()  # type: ignore[arg-type]


@pytest.mark.spark
def test_a_job_opens_each_tiny_file_once_and_finds_the_same(
    tmp_path: Path, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = tiny_files._whole

    def counted(store: Any, path: str, *rest: Any) -> pa.Table:
        opened.append(path)
        return real(store, path, *rest)

    monkeypatch.setattr(tiny_files, "_whole", counted)
    tiny = job(tmp_path / "tiny", one_file_a_row(tmp_path / "raw"), spark)
    assert len(opened) == len(set(opened)) == len(fakes.corpus())
    whole = job(
        tmp_path / "whole", fakes.raw_table(tmp_path / "one", fakes.corpus(), files=1), spark
    )
    assert tiny.counts == whole.counts


@pytest.mark.spark
def test_a_damaged_tiny_file_is_one_sentence(tmp_path: Path, spark: "SparkSession") -> None:
    raw = one_file_a_row(tmp_path / "raw")
    next(raw.glob("*.parquet")).write_bytes(b"PAR1 no Parquet PAR1")
    with pytest.raises(GovernanceError, match=r"read the data files of table edgar\.raw\.filings"):
        job(tmp_path, raw, spark)


@pytest.mark.spark
@pytest.mark.parametrize(
    "made", [one_file_a_row, lambda location: fakes.raw_table(location, fakes.corpus())]
)
def test_a_file_of_the_newest_version_that_is_gone_is_one_sentence(
    tmp_path: Path, spark: "SparkSession", made: Callable[[Path], Path]
) -> None:
    raw = made(tmp_path / "raw")
    gone = next(raw.glob("*.parquet"))
    gone.unlink()
    with pytest.raises(
        NotFound, match=r"of table edgar\.raw\.filings can no longer be read: its files were del"
    ) as failed:
        job(tmp_path, raw, spark)
    assert f"1 of them deleted, the first {gone.name}" in str(failed.value)
    assert "choose another RawTableVersion, or ask the table's owner" in str(failed.value)


@pytest.mark.spark
def test_files_that_vacuum_deletes_while_the_job_runs_are_named(
    tmp_path: Path, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    """After their bytes were hashed, and before their rows are read."""
    raw, real = fakes.raw_table(tmp_path / "raw", fakes.corpus()), raw_files.hashed

    def vacuumed(*arguments: Any) -> Any:
        found = real(*arguments)
        for path in raw.glob("*.parquet"):
            path.unlink()
        return found

    monkeypatch.setattr(raw_files, "hashed", vacuumed)
    with pytest.raises(NotFound, match="its files were deleted"):
        job(tmp_path, raw, spark)
