"""What is decided about all rows is spread over tasks, and needs no text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from steps.prepare import schemas
from steps.prepare.bounds import SplitRule
from steps.prepare.filings import decision
from steps.prepare.filings.split import Split
from steps.prepare.verdict.surveyed import survey
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.decisions import decided, frame

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch({"rows": [sum(batch.num_rows for batch in batches)]})


def test_rejected_rows_of_one_execution_are_spread_over_tasks(
    spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "ROWS_PER_FILE", 10)
    rows = decided(frame(spark, [fakes.filing(cik, 2021, sic=None) for cik in range(1, 41)]))
    dropped = rows.selectExpr("*").drop("reason").selectExpr("*", "'no_headings_found' AS reason")
    filings = dropped.where("kind = 'filing'")
    tasks = decision.rejected(filings, execution_id="abcdefghijkl", count=40)
    sizes = [row["rows"] for row in tasks.mapInArrow(counted, "rows bigint").collect()]
    assert sum(sizes) == 40
    assert len(sizes) == 4
    assert max(sizes) < 25, "one task has most of the rows"


def test_the_text_of_an_example_is_not_read_to_decide_about_it() -> None:
    for names in decision.KEYS.values():
        assert not {"system", "prompt", "completion"} & set(names)


def test_the_digests_do_not_depend_on_the_order_of_the_rows(spark: "SparkSession") -> None:
    rows = fakes.corpus()
    first, second = (survey([decided(frame(spark, order))]) for order in (rows, rows[::-1]))
    assert first == second
    changed = survey([decided(frame(spark, [*rows[:-1], fakes.filing(1008, 2022)]))])
    assert changed.examples_sha256 != first.examples_sha256
    other = survey([decided(frame(spark, rows), Split(SplitRule(), "8" * 64, 1))])
    assert other.examples_sha256 != first.examples_sha256
    assert first.rejected_sha256() == second.rejected_sha256() == changed.rejected_sha256()
    fewer = survey([decided(frame(spark, rows[:-2]))])
    assert fewer.rejected_sha256() != first.rejected_sha256()
