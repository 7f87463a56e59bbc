"""Examples that compare two years are of one company, family and split."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.prepare.bounds import SplitRule
from steps.prepare.delta.staging import kept, tasks
from steps.prepare.filings.comparison import new_sentences
from steps.prepare.filings.examples import LONGEST_BODY
from steps.prepare.task_mix import COMPARE
from tests.steps.prepare.support import edited
from tests.steps.prepare.support.world import World, another

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def parts(row: dict[str, Any]) -> tuple[str, str, str]:
    instruction, before, later = row["prompt"].split("\n\n")
    return instruction, before.split(":\n", 1)[1], later.split(":\n", 1)[1]


def compares(row: dict[str, Any]) -> bool:
    return "then the same risk factor" in row["prompt"]


@pytest.mark.spark
@pytest.mark.parametrize(
    "split", [SplitRule(), SplitRule("family"), SplitRule("year", 2_020)], ids=lambda rule: rule.by
)
def test_a_compared_example_has_two_years_of_one_family_and_split(
    spark: "SparkSession", tmp_path: Path, split: SplitRule
) -> None:
    changes = {"contract": edited.ANY, "split": split, "eval_fraction": 0.3}
    plain = World(spark, tmp_path / "plain", edited.two_years())
    before = plain.run(**changes).counts
    world = World(spark, tmp_path / "mixed", edited.two_years())
    prepared = world.run(tasks=edited.MIX, **changes)
    rows = world.rows()
    made = [row for row in rows if compares(row)]
    counts = prepared.counts.examples_by_template
    assert counts is not None
    assert counts[COMPARE] == len(made) > 4
    assert sum(counts.values()) == len(rows) == before.examples_train + before.examples_eval
    texts = {
        (row["cik"], row["family_id"], row["split"], row["year"], row["prompt"].split("\n\n")[1])
        for row in plain.rows()
    }
    for row in made:
        instruction, first, second = parts(row)
        assert f" for {row['year'] - 1}, then" in instruction
        for year, text in ((row["year"] - 1, first), (row["year"], second)):
            assert (row["cik"], row["family_id"], row["split"], year, text) in texts
        lines = row["completion"].split("\n")
        assert all(line in second and line not in first for line in lines)
        assert 1 <= len(lines) <= 3
    assert len({row["example_id"] for row in rows}) == len(rows)
    # A gap in the years has no pair; by year, 2019 is in train and 2020 is not
    assert {row["year"] for row in made} == ({2_017} if split.by == "year" else {2_017, 2_020})
    assert world.run(tasks=edited.MIX, **changes) == prepared


@pytest.mark.spark
def test_rounds_compare_the_same(
    spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(spark, tmp_path, edited.two_years())
    first = world.run(tasks=edited.MIX, contract=edited.ANY)
    monkeypatch.setattr(kept, "ROWS_OF_A_SHARD", 20)
    monkeypatch.setattr(tasks, "FILE_BYTES", 1)
    second = world.run(tasks=edited.MIX, contract=edited.ANY, **another("bbbbbbbbbbbb"))
    assert second.counts == first.counts
    found = Counter(row["execution_id"] for row in world.rows())
    rows = {
        name: sorted(
            str(row | {"execution_id": ""}) for row in world.rows() if row["execution_id"] == name
        )
        for name in found
    }
    one, other = rows.values()
    assert one == other


def test_only_whole_new_sentences_are_an_answer() -> None:
    old = "We sell to U.S. customers. They may leave us. Prices may fall."
    assert new_sentences(old, old.replace("Prices may fall", "Costs may rise")) == "Costs may rise."
    assert new_sentences(old, old.upper()) is None
    assert new_sentences(old, "All is new. Nothing is left of it. Prices may fall.") is None


@pytest.mark.spark
def test_texts_that_are_too_long_together_are_not_compared(
    spark: "SparkSession", tmp_path: Path
) -> None:
    long = LONGEST_BODY // 45 // 8  # sentences: one text fits, two do not
    world = World(spark, tmp_path, edited.two_years(long))
    counts = world.run(tasks=edited.MIX, contract=edited.ANY).counts.examples_by_template
    assert counts is not None
    assert COMPARE not in counts
