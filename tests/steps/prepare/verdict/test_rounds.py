"""Rows that are decided in several rounds are those that are decided at once, digests included."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from steps.governance.documents.manifest import Prepared
from steps.governance.errors import GovernanceError
from steps.prepare.bounds import Bounds, SplitRule
from steps.prepare.delta.staging import kept, tasks
from steps.prepare.filings import decision
from steps.prepare.task_mix import COMPARE
from steps.prepare.verdict import few
from tests.steps.prepare.support import edited, fakes
from tests.steps.prepare.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ANY = Bounds(most_overlap=1.0, most_rejected=1.0, most_repeats=1.0, least_eval=0.0, most_eval=1.0)


def corpus() -> list[dict[str, str | None]]:
    """Filings with equal, near and related risk factors; some are loaded twice, some are bad."""
    rows = [
        row | {"cik": str(int(str(row["cik"])) + 100 * seed), "filename": f"{seed}-{at}.htm"}
        for seed in range(3)
        for at, row in enumerate(edited.corpus(seed))
    ]
    return [*rows, *rows[:3], rows[4] | {"filing_date": "soon"}, *fakes.corpus()]


def content(world: World, prepared: Prepared) -> dict[str, Any]:
    tables = (world.curated, world.curated.with_name("examples_rejected"))
    made = (json.loads(DeltaTable(str(path)).history(1)[0]["userMetadata"]) for path in tables)
    return {
        "counts": prepared.counts,
        "checks": prepared.contract,
        "digests": [each["content_sha256"] for each in made],
        "profile": [check.found for check in prepared.contract.checks],
        "rows": sorted(
            json.dumps({**row, "execution_id": None}, sort_keys=True)
            for name in ("examples", "examples_rejected")
            for row in world.rows(name)
        ),
    }


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Kind and shard of each file that is kept; a step's rows have a number behind their kind."""
    found = list[tuple[str, int]]()
    real = kept._stacks

    def seen(rows: Any, parts: Any) -> Any:
        found.extend((row["kind"].partition("-")[0], row["shard"]) for row in rows)
        return real(rows, parts)

    monkeypatch.setattr(kept, "_stacks", seen)
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """The shards of the kept rows that each plan of one step names."""
    found = list[set[int]]()
    real = tasks.reading

    def seen(location: str, options: Any, groups: Any, columns: Any) -> Any:
        named = [segment for group in groups for _, stack in group for segment in stack]
        if named and "-keyed-" in named[0].path:
            found.append({segment.shard for segment in named})
        return real(location, options, groups, columns)

    monkeypatch.setattr(tasks, "reading", seen)
    return found


@pytest.mark.parametrize(
    "split", [SplitRule(), SplitRule("family"), SplitRule("year", 2_019)], ids=lambda rule: rule.by
)
def test_several_rounds_give_the_rows_and_digests_of_one(
    spark: "SparkSession",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[tuple[str, int]],
    read: list[set[int]],
    split: SplitRule,
) -> None:
    changes = {"contract": ANY, "split": split, "eval_fraction": 0.3}
    worlds = [World(spark, tmp_path / name, corpus()) for name in ("one", "several")]
    one = content(worlds[0], worlds[0].run(**changes))
    assert not {kind for kind, _ in files} & {"buckets", "keyed", "survey"}
    assert {shard for _, shard in files} == {0}
    files.clear()
    monkeypatch.setattr(kept, "ROWS_OF_A_SHARD", 40)
    monkeypatch.setattr(tasks, "FILE_BYTES", 4_000)
    several = content(worlds[1], worlds[1].run(**changes))
    assert several == one  # `one` is decided in one task, `several` by Spark's plans
    for kind in ("keyed", "once", "buckets", "pairs", "begun", "edges", "asked", "survey", "grams"):
        assert len({shard for name, shard in files if name == kind}) > 1, kind
    assert len(read) > 1
    assert {len(shards) for shards in read} == {1}  # no plan names the files of all shards
    reasons = one["counts"].rejected_by_reason
    assert {"duplicate_filing", "duplicate_example", decision.NEAR_DUPLICATE} <= set(reasons)
    assert (decision.FAMILY_IN_TRAIN in reasons) == (split.by == "year")


def test_a_broken_contract_rejects_the_same_rows_in_several_rounds(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = [World(spark, tmp_path / name, corpus()) for name in ("one", "several")]
    found = []
    for world, rows_of_a_shard in zip(worlds, (kept.ROWS_OF_A_SHARD, 40), strict=True):
        monkeypatch.setattr(kept, "ROWS_OF_A_SHARD", rows_of_a_shard)
        with pytest.raises(GovernanceError, match="breaks its data contract") as refused:
            world.run(contract=replace(ANY, most_repeats=0.0))
        path = world.curated.with_name("examples_rejected")
        made = json.loads(DeltaTable(str(path)).history(1)[0]["userMetadata"])
        reasons = sorted(row["reason"] for row in world.rows("examples_rejected"))
        found.append((str(refused.value), made["content_sha256"], reasons))
    assert found[0] == found[1]
    assert decision.CONTRACT_BROKEN in found[0][2]


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.long)])
def test_few_rows_are_decided_in_one_task_as_by_the_plans_of_one_round(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rows = [*corpus(), *edited.corpus(seed), *edited.two_years()]
    found = []
    for name, most in (("task", few.MOST), ("plans", 0)):
        monkeypatch.setattr(few, "MOST", most)
        world = World(spark, tmp_path / name, rows)
        found.append(content(world, world.run(contract=ANY, tasks=edited.MIX)))
    assert found[0] == found[1]
    assert found[0]["counts"].examples_by_template[COMPARE]
    assert len(found[0]["counts"].families_by_size) > 1
