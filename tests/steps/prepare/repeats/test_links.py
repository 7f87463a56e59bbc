"""Near duplicates and families on seeded texts, through Spark: recall and bad merges, printed."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from steps.prepare.repeats import at_once, links, sketch
from steps.prepare.rounds.rounds import AT_ONCE
from tests.steps.prepare.support import edited

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

# Figures, in a report of pytest: --junit-xml FILE -o junit_family=xunit1
Report = Callable[[str, object], None]

COUNT = 400  # pairs of each kind
LENGTHS = (60, 120, 250, 500)  # words


def linked(
    spark: "SparkSession", texts: list[list[str]], companies: list[int]
) -> dict[int, tuple[int | None, int | None]]:
    """Near duplicate of, and family, by the number of the text; the rank is the number."""
    rows = list(range(len(texts)))
    # Each text has its own heading, so that only bodies are similar
    made = sketch.sketched([" ".join(text).encode() for text in texts], companies, rows)
    frame = spark.createDataFrame(
        pd.DataFrame(
            {
                "row": rows,
                "rank": rows,
                "cik_number": companies,
                "heading_key": rows,
                "bands": made.bands.to_pylist(),
                "shingles": made.shingles.to_pylist(),
            }
        )
    )
    (found,) = links.links(
        [frame.select("row", *links.SKETCH)],
        lambda _: frame.select("row", *links.SETS),
        AT_ONCE,
        count=len(rows),
    )
    assert found.columns == links.LINKED.names
    made_of = {
        each["row"]: (each["near_row"], each["family_rank"])
        for each in found.collect()
        if each["near_row"] is not None or each["family_rank"] is not None
    }
    texts = pa.Table.from_pylist([row.asDict() for row in frame.collect()], at_once.TEXTS)
    near, family = at_once.links(texts)
    in_one = {row: (near.get(row), family.get(row)) for row in near.keys() | family.keys()}
    assert made_of == in_one, "joins and one task give the same links"
    return made_of


def pairs(share: float, seed: int) -> list[tuple[list[str], list[str]]]:
    draw = random.Random(seed)  # noqa: S311 - test data
    texts = [edited.text(draw, LENGTHS[at % len(LENGTHS)]) for at in range(COUNT)]
    return [(text, edited.edited(draw, text, share)) for text in texts]


@pytest.mark.parametrize("seed", [1, 2])
def test_same_text_is_found_and_nothing_else(
    spark: "SparkSession", seed: int, record_property: Report
) -> None:
    """2 % edited words, each text of another company."""
    made = pairs(0.02, seed)
    texts = [text for pair in made for text in pair]
    found = linked(spark, texts, list(range(len(texts))))
    near = {row: of for row, (of, _) in found.items() if of is not None}
    right = sum(near.get(2 * at + 1) == 2 * at for at in range(COUNT))
    bad = sum(of != row - 1 for row, of in near.items())
    record_property(
        "figures",
        f"same text, 2 % edited: recall {right / COUNT:.3f}, bad merges {bad / len(texts):.4f}",
    )
    assert right / COUNT >= 0.95
    assert bad / len(texts) <= 0.001
    similar = [at for at, pair in enumerate(made) if edited.similarity(*pair) >= 0.8]
    assert sum(2 * at + 1 in near for at in similar) / len(similar) >= 0.995


@pytest.mark.parametrize(("share", "least"), [(0.02, 0.99), (0.05, 0.9), (0.1, 0.7)])
def test_same_family_is_found_within_a_company(
    spark: "SparkSession", share: float, least: float, record_property: Report
) -> None:
    """50 texts of each company, all of which share a sentence."""
    texts = [text for pair in pairs(share, 3) for text in pair]
    companies = [row // 50 for row in range(len(texts))]
    found = linked(spark, texts, companies)
    family = {row: rank for row, (_, rank) in found.items()}
    right = sum(family.get(2 * at + 1) == 2 * at for at in range(COUNT))
    bad = sum(rank != row - row % 2 for row, rank in family.items())
    found_share = f"recall {right / COUNT:.3f}, bad merges {bad / len(texts):.4f}"
    record_property("figures", f"same family, {share:.0%} edited: {found_share}")
    assert right / COUNT >= least
    assert bad / len(texts) <= 0.001


def test_a_text_of_another_company_is_no_family(spark: "SparkSession") -> None:
    texts = [text for pair in pairs(0.05, 4)[:40] for text in pair]
    assert linked(spark, texts, list(range(len(texts)))) == {}


def test_of_a_component_the_earliest_is_kept_and_its_family_is_named_by_it(
    spark: "SparkSession",
) -> None:
    draw = random.Random(9)  # noqa: S311 - test data
    first = edited.text(draw, 300)
    years = [first]
    for _ in range(5):
        years.append(edited.edited(draw, years[-1], 0.015))
    assert edited.similarity(years[0], years[-1]) < 0.8
    found = linked(spark, years, [7] * len(years))
    assert found == {0: (None, 0)} | dict.fromkeys(range(1, 6), (0, 0))
