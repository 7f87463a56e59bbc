"""No family and no company in both splits, no near repeat in train, on random corpora."""

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from steps.governance.errors import GovernanceError
from steps.prepare.bounds import Bounds, SplitRule
from steps.prepare.filings import decision
from steps.prepare.repeats.words import words
from tests.steps.prepare.support import edited, fakes
from tests.steps.prepare.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# Figures, in a report of pytest: --junit-xml FILE -o junit_family=xunit1
Report = Callable[[str, object], None]

ANY = Bounds(most_overlap=1.0, most_rejected=1.0, most_repeats=1.0, least_eval=0.0, most_eval=1.0)
BRIEF = range(4)


def crossing(rows: list[dict[str, Any]], name: str) -> int:
    """How many values of a column are in both splits."""
    sides = defaultdict(set)
    for row in rows:
        sides[row[name]].add(row["split"])
    return sum(len(side) > 1 for side in sides.values())


def near(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of rows whose bodies are near duplicates, by brute force."""
    sets = [edited.shingles(words(row["prompt"].split("\n\n", 1)[1]).split()) for row in rows]
    return [
        (rows[a], rows[b])
        for a in range(len(rows))
        for b in range(a)
        if 10 * len(sets[a] & sets[b]) >= 8 * len(sets[a] | sets[b])
    ]


@pytest.mark.parametrize(
    "seed",
    [*BRIEF, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(len(BRIEF), 20))],
)
def test_no_family_and_no_company_is_in_both_splits(
    spark: "SparkSession", tmp_path: Path, seed: int, record_property: Report
) -> None:
    world = World(spark, tmp_path, edited.corpus(seed))
    counts = world.run(contract=ANY).counts
    rows = world.rows()
    assert (crossing(rows, "family_id"), crossing(rows, "cik"), near(rows)) == (0, 0, [])
    assert len({row["family_id"] for row in rows}) < len(rows)
    taught = {words(row["completion"]) for row in rows if row["split"] == "train"}
    answers = {words(row["completion"]) for row in rows if row["split"] == "eval"}
    assert not taught & answers
    reasons = counts.rejected_by_reason
    companies = counts.companies_train + counts.companies_eval
    found = f"{len(rows)} examples, near duplicates {reasons.get(decision.NEAR_DUPLICATE, 0)}"
    record_property("figures", f"seed {seed}: {companies} companies, {found}")


@pytest.fixture
def corpus() -> list[dict[str, str | None]]:
    return [row for seed in range(3) for row in renamed(edited.corpus(seed), 100 * seed)]


def renamed(rows: list[dict[str, str | None]], by: int) -> list[dict[str, str | None]]:
    return [
        row | {"cik": str(int(str(row["cik"])) + by), "filename": f"{by}-{row['filename']}"}
        for row in rows
    ]


def test_by_family_a_company_is_in_both_splits_and_a_family_in_one(
    spark: "SparkSession", tmp_path: Path, corpus: list[dict[str, str | None]]
) -> None:
    world = World(spark, tmp_path, corpus)
    counts = world.run(contract=ANY, split=SplitRule("family"), eval_fraction=0.3).counts
    rows = world.rows()
    assert crossing(rows, "family_id") == 0 < crossing(rows, "cik")
    assert near(rows) == []
    assert counts.companies_eval > 1
    assert 0.1 < counts.examples_eval / len(rows) < 0.5


def test_by_year_eval_has_the_held_out_years_and_no_family_of_train(
    spark: "SparkSession", tmp_path: Path, corpus: list[dict[str, str | None]]
) -> None:
    world = World(spark, tmp_path, corpus)
    counts = world.run(contract=ANY, split=SplitRule("year", 2_019)).counts
    rows = world.rows()
    assert {row["split"] for row in rows if row["year"] >= 2_019} == {"eval"}
    assert {row["split"] for row in rows if row["year"] < 2_019} == {"train"}
    assert crossing(rows, "family_id") == 0
    assert counts.rejected_by_reason[decision.FAMILY_IN_TRAIN] > 0
    details = [
        row["detail"]
        for row in world.rows("examples_rejected")
        if row["reason"] == decision.FAMILY_IN_TRAIN
    ]
    known = {row["example_id"] for row in rows}
    assert {detail.removeprefix("same family as ") for detail in details} <= known


def test_of_two_near_filings_the_earlier_is_kept_and_named(
    spark: "SparkSession", tmp_path: Path
) -> None:
    draw = random.Random(8)  # noqa: S311 - test data
    body = edited.text(draw, 200)
    later = edited.edited(draw, body, 0.01)
    heading = "The loss of our {} could harm our revenue."
    sections = [
        edited.section(
            [
                (heading.format(name), text),
                (f"A plant that makes {name} may close.", edited.text(draw, 90)),
            ]
        )
        for name, text in (("customers", later), ("suppliers", body))
    ]
    rows = [
        fakes.filing(3_001, 2_021, item_1a=sections[0]),
        fakes.filing(3_002, 2_020, item_1a=sections[1]),
    ]
    world = World(spark, tmp_path, rows)
    world.run(contract=ANY)
    (kept,) = [row for row in world.rows() if "our suppliers" in row["completion"]]
    (gone,) = [row for row in world.rows("examples_rejected") if row["reason"] == "near_duplicate"]
    assert gone["cik"] == "0000003001"
    assert gone["detail"] == f"similar to {kept['example_id']}"


def test_eval_that_overlaps_with_train_is_refused(
    spark: "SparkSession", tmp_path: Path, corpus: list[dict[str, str | None]]
) -> None:
    """Each risk factor has a sentence of 20 words that all have."""
    world = World(spark, tmp_path, corpus)
    with pytest.raises(GovernanceError, match=r"expected\s+overlap 0 to 0\.001\b"):
        world.run(contract=Bounds(most_overlap=0.001, most_rejected=1.0, most_eval=1.0))
    reasons = {row["reason"] for row in world.rows("examples_rejected")}
    assert decision.CONTRACT_BROKEN in reasons
    assert not DeltaTable.is_deltatable(str(world.curated))
