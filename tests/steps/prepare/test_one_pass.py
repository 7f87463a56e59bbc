"""Each filing is examined once, each factor written once; what is staged does not outlive the job.

The kernel's tasks are threads of this process, so its functions can be counted here.
"""

import logging
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pa_fs
import pytest
from deltalake import DeltaTable

from steps.governance.errors import GovernanceError
from steps.prepare import job
from steps.prepare.delta import commits, data_files
from steps.prepare.delta.staging import kept, tasks
from steps.prepare.filings import decision, examination, examples, measures
from steps.prepare.verdict import few
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.world import World, another

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows go into each function of the kernel."""
    found, lock = Counter[str](), threading.Lock()

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def count(batch: pa.RecordBatch, *given: Any, **named: Any) -> pa.RecordBatch:
            with lock:
                found[name] += batch.num_rows
                if name == "write":
                    found["factors"] += sum(map(len, batch["risk_factors"].to_pylist()))
            return real(batch, *given, **named)

        monkeypatch.setattr(module, name, count)

    counted(examination, "examine")
    counted(examples, "write")
    return found


def staged(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("staged-*"))


@pytest.mark.parametrize("rules", [False, True])
def test_each_filing_is_examined_once_and_each_factor_written_once(
    world: World, seen: Counter[str], *, rules: bool
) -> None:
    if rules:  # the rows are also checked, twice, before they are committed
        world.run(**another("bbbbbbbbbbbb"))
        DeltaTable(str(world.curated)).alter.add_constraint({"new": "year > 2000"})
        seen.clear()
    counts = world.run().counts
    assert seen["examine"] == counts.filings_read == len(fakes.corpus())
    duplicates = counts.rejected_by_reason["duplicate_section"]
    assert seen["write"] == counts.filings_kept + duplicates
    assert seen["factors"] == counts.examples_train + counts.examples_eval + 4 * duplicates


@pytest.mark.parametrize("most", [few.MOST, 0])
def test_the_measures_of_all_filings_are_added_up_once(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(few, "MOST", most)
    calls, real = list[int](), measures.totals

    def totals(lines: Any) -> measures.Measured:
        calls.append(1)
        return real(lines)

    monkeypatch.setattr(measures, "totals", totals)
    assert world.run().counts.examples_train > 0
    assert len(calls) == 1


def test_a_run_of_many_small_staged_and_data_files_has_the_same_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.run()
    monkeypatch.setattr("steps.prepare.arrow_tasks.bounded.__kwdefaults__", {"rows": 3, "size": 9})
    monkeypatch.setattr(tasks, "FILE_BYTES", 1)
    monkeypatch.setattr("steps.prepare.schemas.ROWS_PER_FILE", 10)
    monkeypatch.setattr(data_files, "ROWS_PER_FILE", 10)
    second = world.run(**another("bbbbbbbbbbbb"))
    assert second.counts == first.counts
    assert len(second.files) > len(first.files) == 1
    assert all((file.rows or 0) <= 10 for file in second.files)
    sides: dict[str, list[str]] = {}
    for row in world.rows():
        sides.setdefault(row.pop("execution_id"), []).append(str(row))
    first_rows, second_rows = sides.values()
    assert sorted(first_rows) == sorted(second_rows)


@pytest.mark.parametrize(("most", "between"), [(few.MOST, set()), (0, {"decided", "linked"})])
def test_staged_files_are_in_no_version_and_are_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int, between: set[str]
) -> None:
    monkeypatch.setattr(few, "MOST", most)
    found = list[str]()
    real = decision.kept

    def looked(*args: Any, **kwargs: Any) -> Any:
        found.extend(staged(world.root))
        return real(*args, **kwargs)

    monkeypatch.setattr(decision, "kept", looked)
    world.run()
    # No text of this corpus is like another, so no link is kept
    kinds = {name.split("-")[2] for name in found}
    assert kinds == {"filing", "example", "final"} | between
    assert staged(world.root) == []
    assert not any("/staged-" in uri for uri in DeltaTable(str(world.curated)).file_uris())


def test_nothing_staged_is_left_by_a_crash_or_a_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commits, "commit_once", crash)
        with pytest.raises(KeyboardInterrupt):
            world.run()
    assert staged(world.root) == []
    with monkeypatch.context() as patch:
        patch.setattr(job, "FEWEST_COMPANIES", 1_000)
        with pytest.raises(GovernanceError, match="no example was written"):
            world.run()
    assert staged(world.root) == []
    with monkeypatch.context() as patch:
        patch.setattr(examples, "write", crash)
        with pytest.raises(GovernanceError, match=r"failed to read and judge the filings"):
            world.run(**another("bbbbbbbbbbbb"))
    assert staged(world.root) == []


def test_a_staged_file_that_was_changed_is_noticed_before_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, changed = decision.kept, set[Path]()

    def altered(*args: Any, **kwargs: Any) -> Any:
        for path in set(world.root.rglob("staged-*-example-*")) - changed:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
            changed.add(path)
        return real(*args, **kwargs)

    monkeypatch.setattr(decision, "kept", altered)
    with pytest.raises(GovernanceError, match="a staged file is not what was written"):
        world.run()
    assert not DeltaTable.is_deltatable(str(world.curated))


def test_staged_files_that_cannot_be_deleted_are_named_and_the_job_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: Any) -> pa_fs.FileSystem:
        raise PermissionError("no s3:DeleteObject")

    real = kept._delete

    def delete(*given: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(data_files, "file_system", refused)
            real(*given)

    monkeypatch.setattr(kept, "_delete", delete)
    with caplog.at_level(logging.WARNING):
        prepared = world.run()
    (left,) = {name.split("-")[1] for name in staged(world.root)}
    assert f"staged files staged-{left}-* of table edgar.curated.examples are left" in caplog.text
    assert world.run() == prepared
