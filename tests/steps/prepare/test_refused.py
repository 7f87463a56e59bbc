"""A run that ends without examples reports the reasons and their counts, and keeps rejected rows.

A file name does not identify a filing.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from steps.governance.errors import Conflict, GovernanceError
from steps.governance.names import UcName
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

REJECTED = UcName.parse("edgar.curated.examples_rejected")


def refusal(world: World) -> str:
    with pytest.raises(GovernanceError) as refused:
        world.run()
    assert type(refused.value) is GovernanceError
    return str(refused.value)


def test_an_empty_table_is_refused_and_nothing_is_written(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(spark, tmp_path, [])
    assert "the raw table is empty at this version, nothing was written" in refusal(world)
    assert not list((tmp_path / "curated").rglob("*.*"))


def test_one_company_without_a_rejected_row_is_refused_with_the_counts(
    spark: "SparkSession", tmp_path: Path
) -> None:
    text = refusal(World(spark, tmp_path, [fakes.filing(1001, 2020), fakes.filing(1001, 2021)]))
    assert "no example was written" in text
    assert "1 company with usable risk factors; rejected: nothing" in text


def test_reasons_are_counted_each_with_its_most_frequent_detail(
    spark: "SparkSession", tmp_path: Path
) -> None:
    rows = [fakes.filing(cik, 2021, filing_date="03/04/2021") for cik in range(1001, 1004)]
    rows += [
        fakes.filing(1004, 2021) | {"cik": "x"},
        fakes.filing(1005, 2021, item_1a=None),
        fakes.filing(1006, 2021, item_1a=None),
    ]
    world = World(spark, tmp_path, rows)
    text = refusal(world)
    assert (
        "0 companies with usable risk factors; rejected: invalid_record 4 (3 of them: "
        "filing_date: day or month may come" in text
    )
    assert ", no_risk_factors 2\n" in text
    assert (
        "see the rejected rows in table edgar.curated.examples_rejected version 0 "
        "(execution_id abcdefghijkl)" in text
    )


def test_the_rejected_rows_are_committed_once_and_nothing_else_is(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(spark, tmp_path, [row | {"cik": f"{row['cik']}.0"} for row in fakes.corpus()])
    assert refusal(world) == refusal(world)
    assert world.catalog.tables.keys() == {UcName.parse("edgar.raw.filings"), REJECTED}
    assert DeltaTable(str(world.curated.with_name("examples_rejected"))).version() == 0
    assert Counter(row["reason"] for row in world.rows("examples_rejected")) == {
        "invalid_record": len(fakes.corpus())
    }
    assert not list(world.curated.rglob("*"))
    assert not world.evidence.documents


def test_a_repeated_refusal_reads_the_version_of_the_first(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(spark, tmp_path, [fakes.filing(1001, 2020, item_1a=None)])
    first = refusal(world)
    fakes.raw_table(world.raw, fakes.corpus())
    assert refusal(world) == first
    with pytest.raises(Conflict, match="already wrote other content"):
        world.run(raw_version=2)


def test_an_error_quotes_no_filing(spark: "SparkSession", tmp_path: Path) -> None:
    secret = "Canary Holdings may lose its only customer."
    world = World(
        spark,
        tmp_path,
        [
            fakes.filing(
                1001, 2021, item_1a=f"Item 1A\n{secret}\n{'Too short. ' * 90}", filing_date="Canary"
            )
        ],
    )
    assert "Canary" not in refusal(world)


def test_many_filings_with_one_file_name_are_no_duplicates(
    spark: "SparkSession", tmp_path: Path
) -> None:
    rows = [
        fakes.filing(cik, year, filename="form10-k.htm")
        for cik in (1001, 1002, 1003)
        for year in (2020, 2021)
    ]
    world = World(spark, tmp_path, rows)
    counts = world.run().counts
    assert (counts.filings_kept, counts.rejected_by_reason) == (6, {})
    ids = [row["example_id"] for row in world.rows()]
    assert len(ids) == len(set(ids)) == 24
    assert {row["source_filing"] for row in world.rows()} == {"form10-k.htm"}


def test_one_accession_number_under_two_names_is_one_filing_of_each_company(
    spark: "SparkSession", tmp_path: Path
) -> None:
    rows = [
        fakes.filing(1001, 2021, filename="0001193125-21-000105.txt"),
        fakes.filing(1001, 2021, filename="000119312521000105.htm", item_1a=fakes.section("again")),
        fakes.filing(1002, 2021, filename="0001193125-21-000105.txt"),
    ]
    world = World(spark, tmp_path, [*rows, rows[2]])
    world.run()
    assert {row["cik"] for row in world.rows()} == {"0000001001", "0000001002"}
    rejected = world.rows("examples_rejected")
    assert [row["reason"] for row in rejected] == ["duplicate_filing"] * 2
    assert {row["detail"] for row in rejected} == {
        "same as 0001193125-21-000105.txt of 0000001001",
        "same as 0001193125-21-000105.txt of 0000001002",
    }
    assert len({row["example_id"] for row in world.rows()}) == len(world.rows()) == 8


def test_a_field_and_a_column_that_cannot_be_used_are_counted(
    spark: "SparkSession", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = pa.Table.from_pylist(
        [fakes.filing(cik, 2021, sic="n/a") for cik in (1001, 1002)], schema=fakes.RAW_SCHEMA
    )
    rows = rows.set_column(
        rows.schema.get_field_index("period_of_report"), "Period_Of_Report", pa.array([True, None])
    )
    write_deltalake(str(tmp_path / "raw"), rows)
    with caplog.at_level(logging.WARNING):
        counts = World(spark, tmp_path, raw=tmp_path / "raw").run().counts
    assert counts.ignored_fields == {
        "period_of_report: type boolean cannot be read as a date": 2,
        "sic: 1 to 4 digits expected": 2,
    }
    assert "a column of edgar.raw.filings is ignored: period_of_report: type boolean" in caplog.text
