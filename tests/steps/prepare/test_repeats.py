"""Repeated, concurrent and interrupted runs commit once; lost or altered data is noticed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from steps.governance.errors import (
    Conflict,
    IntegrityError,
)
from steps.governance.names import UcName
from steps.prepare.delta import commits
from steps.prepare.delta.store import Place
from steps.prepare.filings import decision
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.world import World, another, tree

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def test_the_same_input_and_seed_give_the_same_rows_in_the_same_files(world: World) -> None:
    first, second = world.run(), world.run(**another("bbbbbbbbbbbb"))
    assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]
    other = world.run(seed=18, **another("cccccccccccc"))
    assert [file.sha256 for file in other.files] != [file.sha256 for file in first.files]


def test_a_repeated_run_changes_nothing_and_reports_the_same(world: World) -> None:
    first = world.run()
    before = tree(world.root)
    assert world.run() == first
    assert tree(world.root) == before
    assert DeltaTable(str(world.curated)).version() == 0


def test_another_attempt_keeps_the_first_one_s_manifest_although_it_reads_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.run()
    reading = world.catalog.reading
    monkeypatch.setattr(
        world.catalog,
        "reading",
        lambda *args: reading(*args).model_copy(
            update={"read_at": "2030-01-01T00:00:00Z", "grants": [], "grants_unknown": "hidden"}
        ),
    )
    documents = dict(world.evidence.documents)
    assert world.run() == first
    assert world.evidence.documents == documents


@pytest.mark.parametrize("field", ["raw_files", "spark_version", "build"])
def test_another_attempt_with_other_evidence_is_a_conflict(
    world: World, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    first = world.run()
    (uri,) = (uri for uri in world.evidence.documents if uri.endswith("manifest.json"))
    other = world.run(**another("bbbbbbbbbbbb"))
    assert other.build
    changed = {
        "raw_files": (other.raw_files or [])[:1],
        "spark_version": "3.5.0",
        "build": other.build.model_copy(update={"clean": not other.build.clean}),
    }
    altered = first.model_copy(update={field: changed[field]})
    world.evidence.documents[uri] = altered.to_bytes()
    with pytest.raises(Conflict, match="already written with other content"):
        world.run()
    assert world.evidence.documents[uri] == altered.to_bytes()


@pytest.mark.parametrize("effect", [".parquet", "manifest.json"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_a_write_to_the_evidence_leaves_one_of_each_after_a_rerun(
    world: World, monkeypatch: pytest.MonkeyPatch, effect: str, when: str
) -> None:
    write_once = world.evidence.write_once

    def crash(uri: str, content: bytes, **options: Any) -> None:
        if uri.endswith(effect) and when == "before":
            raise KeyboardInterrupt
        write_once(uri, content, **options)
        if uri.endswith(effect):
            raise KeyboardInterrupt

    monkeypatch.setattr(world.evidence, "write_once", crash)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.setattr(world.evidence, "write_once", write_once)
    prepared = world.run()
    assert prepared.membership
    names = sorted(uri.rpartition("/")[2] for uri in world.evidence.documents)
    assert names == ["manifest.json", prepared.membership.path]
    assert DeltaTable(str(world.curated)).version() == 0


def test_a_repeated_run_with_other_content_is_a_conflict(world: World) -> None:
    world.run()
    before = tree(world.root)
    with pytest.raises(Conflict, match="already wrote other content to table"):
        world.run(seed=18)
    assert tree(world.root) == before


def test_executions_append_side_by_side(world: World) -> None:
    world.run()
    second = world.run(**another("bbbbbbbbbbbb"))
    assert second.target.version == 1
    assert Counter(row["execution_id"] for row in world.rows()) == {
        "abcdefghijkl": 66,
        "bbbbbbbbbbbb": 66,
    }
    assert all(file.path.startswith("execution_id=bbbbbbbbbbbb/") for file in second.files)


def test_executions_at_once_all_succeed_and_so_does_one_that_runs_twice(world: World) -> None:
    names = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "aaaaaaaaaaaa"]
    with ThreadPoolExecutor(len(names)) as pool:
        done = list(pool.map(lambda name: world.run(**another(name)), names))
    assert done[0] == done[3]
    assert sorted({prepared.target.version for prepared in done}) == [0, 1, 2]
    assert Counter(row["execution_id"] for row in world.rows()) == dict.fromkeys(names, 66)
    assert DeltaTable(str(world.curated)).version() == 2


def test_a_crash_before_the_commit_leaves_nothing_visible_and_a_rerun_is_clean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(place: Place, *_: Any) -> None:
        if place.name.name == "examples":
            raise KeyboardInterrupt
        real(place, *_)

    real = commits.commit_once
    monkeypatch.setattr(commits, "commit_once", crash)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert list(world.curated.rglob("*.parquet"))
    assert not DeltaTable.is_deltatable(str(world.curated))
    assert UcName.parse("edgar.curated.examples") not in world.catalog.tables
    assert not world.evidence.documents
    monkeypatch.setattr(commits, "commit_once", real)
    prepared = world.run()
    assert {str(path.relative_to(world.curated)) for path in world.curated.rglob("*.parquet")} == {
        file.path for file in prepared.files
    }


def test_a_crash_after_the_commit_is_taken_up_where_it_happened(world: World) -> None:
    write_once = world.evidence.write_once
    world.evidence.write_once = _crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.run()
    committed = DeltaTable(str(world.curated)).history(1)[0]
    world.evidence.write_once = write_once  # type: ignore[method-assign]
    prepared = world.run()
    assert DeltaTable(str(world.curated)).version() == prepared.target.version == 0
    assert DeltaTable(str(world.curated)).history(1)[0] == committed


@pytest.mark.parametrize("crashed_after", ["examples_rejected", "examples"])
@pytest.mark.parametrize("other_content", [True, False])
def test_the_latest_version_is_the_first_attempt_s_despite_later_commits(
    world: World, monkeypatch: pytest.MonkeyPatch, crashed_after: str, other_content: bool
) -> None:
    def crash(place: Place, *rest: Any) -> None:
        real(place, *rest)
        if place.name.name == crashed_after:
            raise KeyboardInterrupt

    real = commits.commit_once
    monkeypatch.setattr(commits, "commit_once", crash)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.setattr(commits, "commit_once", real)
    if other_content:
        fakes.raw_table(world.raw, [fakes.filing(1010, 2021)], files=1)
    else:
        DeltaTable(str(world.raw)).optimize.compact()
    assert DeltaTable(str(world.raw)).version() == 2
    prepared = world.run()
    assert prepared.source.version == 1
    for name in ("examples", "examples_rejected"):
        assert DeltaTable(str(world.curated.with_name(name))).history(1)[0]["raw_version"] == "1"
    assert world.run(**another("bbbbbbbbbbbb")).source.version == 2


def test_equal_content_from_another_version_is_a_conflict(world: World) -> None:
    world.run()
    DeltaTable(str(world.raw)).optimize.compact()
    with pytest.raises(Conflict, match="already wrote other content to table") as refused:
        world.run(raw_version=2)
    assert "raw_version 2" in str(refused.value)
    assert "raw_version 1" in str(refused.value)


def test_an_altered_data_file_is_noticed_before_the_manifest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(place: Place, *rest: Any) -> None:
        real(place, *rest)
        if place.name.name == "examples":
            file = next(world.curated.rglob("part-*.parquet"))
            content = bytearray(file.read_bytes())
            content[100] ^= 1
            file.write_bytes(content)

    real = commits.commit_once
    monkeypatch.setattr(commits, "commit_once", altered)
    with pytest.raises(IntegrityError, match="is not what was written"):
        world.run()
    assert not world.evidence.documents


def test_lost_rows_are_noticed_before_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decision.kept
    monkeypatch.setattr(
        decision, "kept", lambda *args, **kwargs: real(*args, **kwargs).where("row % 2 = 0")
    )
    with pytest.raises(IntegrityError, match="rows were lost or doubled") as refused:
        world.run()
    assert "66 rows" in str(refused.value)
    assert not DeltaTable.is_deltatable(str(world.curated))


def _crash(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
