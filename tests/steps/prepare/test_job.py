"""The whole job on Sail over a folder: its tables, its refusals, and its repetitions."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    IntegrityError,
    NotFound,
)
from steps.governance.names import UcName
from steps.prepare import task_mix
from steps.prepare.bounds import Bounds
from steps.prepare.filings import judge
from tests.steps.prepare.support import edited, fakes
from tests.steps.prepare.support.decisions import decided, frame
from tests.steps.prepare.support.world import World, another, tree

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def test_every_filing_is_kept_or_rejected_with_a_reason(world: World) -> None:
    prepared = world.run()
    counts = prepared.counts
    assert (
        counts.filings_read == len(fakes.corpus()) == counts.filings_kept + counts.filings_rejected
    )
    reasons = Counter(row["reason"] for row in world.rows("examples_rejected"))
    assert dict(reasons) == counts.rejected_by_reason
    assert counts.rejected_by_reason == {
        "no_risk_factors": 1,
        "smaller_reporting_company": 1,
        "invalid_record": 1,
        "unsupported_form": 1,
        "duplicate_section": 1,
    }
    assert len(world.rows()) == counts.examples_train + counts.examples_eval == 66


def test_no_company_and_no_text_is_in_both_splits(world: World) -> None:
    counts = world.run().counts
    sides = {
        side: [row for row in world.rows() if row["split"] == side] for side in ("train", "eval")
    }
    for name in ("cik", "prompt", "example_id", "source_filing"):
        assert not {row[name] for row in sides["train"]} & {row[name] for row in sides["eval"]}
    assert (len(sides["train"]), len(sides["eval"])) == (
        counts.examples_train,
        counts.examples_eval,
    )
    assert (counts.companies_train, counts.companies_eval) == (6, 2)


def test_of_two_equal_texts_the_earlier_filing_s_is_kept(
    spark: "SparkSession", tmp_path: Path
) -> None:
    text = fakes.section("Same")
    rows = [
        fakes.filing(1001, 2021, item_1a=text),
        fakes.filing(1002, 2019, item_1a=text + "\nRisks Related to Acme"),
        fakes.filing(1003, 2020),
    ]
    world = World(spark, tmp_path, [*rows, rows[2]])
    world.run()
    assert {row["cik"] for row in world.rows()} == {"0000001002", "0000001003"}
    rejected = world.rows("examples_rejected")
    assert Counter(row["reason"] for row in rejected) == {
        "duplicate_example": 4,
        "duplicate_filing": 1,
    }
    kept = {row["example_id"] for row in world.rows()}
    assert {
        row["detail"].removeprefix("same as ")
        for row in rejected
        if row["reason"] == "duplicate_example"
    } <= kept


@pytest.mark.parametrize(
    "difference",
    [
        {"cik": "1002"},
        {"filing_date": "2021-03-02"},
        {"company": "Another Inc"},
        {"sic": "2834"},
        {"filing_type": "10-K/A"},
        {"period_of_report": "2018-12-31"},
        {"item_1a": fakes.section("Company 1001", seed=2021).replace("Our", "OUR")},
    ],
)
def test_which_of_two_equals_is_kept_does_not_depend_on_the_order_they_are_read_in(
    spark: "SparkSession", difference: dict[str, str]
) -> None:
    rows = [fakes.filing(1001, 2021), fakes.filing(1001, 2021) | difference]

    def judged(read: list[dict[str, str | None]]) -> list[Any]:
        return sorted(decided(frame(spark, read)).drop("row").collect(), key=str)

    found = judged(rows)
    assert found == judged(rows[::-1])
    reasons = Counter(row["reason"] for row in found)
    assert reasons["duplicate_filing"] + reasons["duplicate_section"] == 1
    assert reasons[None] == 1 + 4, "one filing and its examples, once each"


def test_the_companys_industry_code_reaches_the_examples(
    spark: "SparkSession", tmp_path: Path
) -> None:
    world = World(
        spark, tmp_path, [fakes.filing(1001, 2021, sic="100"), fakes.filing(1002, 2021, sic=None)]
    )
    world.run()
    assert {(row["cik"], row["sic"]) for row in world.rows()} == {
        ("0000001001", "0100"),
        ("0000001002", None),
    }


def test_the_manifest_names_every_file_with_its_digest_and_rows(world: World) -> None:
    prepared = world.run()
    assert list(world.evidence.documents.values())[-1] == prepared.to_bytes()
    live = {
        str(Path(uri).relative_to(world.curated))
        for uri in DeltaTable(str(world.curated)).file_uris()
    }
    assert {file.path for file in prepared.files} == live
    for file in prepared.files:
        content = (world.curated / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    assert sum(file.rows or 0 for file in prepared.files) == len(world.rows())


def test_the_commit_names_its_execution_and_its_source(world: World) -> None:
    prepared = world.run()
    commit = DeltaTable(str(world.curated)).history(1)[0]
    recorded = json.loads(commit["userMetadata"])
    assert recorded["execution_arn"] == commit["execution_arn"] == fakes.execution_arn()
    assert recorded["raw_version"] == commit["raw_version"] == str(prepared.source.version) == "1"
    assert recorded["content_sha256"] == commit["content_sha256"]
    assert prepared.target.partition == "execution_id=abcdefghijkl"


def test_the_styles_of_the_headings_are_counted(world: World) -> None:
    counts = world.run().counts
    assert counts.headings_by_style is not None
    assert sum(counts.headings_by_style.values()) == counts.examples_train + counts.examples_eval
    assert counts.headings_by_style["standing"] > 0


def test_families_are_counted_by_size_and_rejected_examples_by_style(
    spark: "SparkSession", tmp_path: Path
) -> None:
    corpora = (edited.corpus(seed) for seed in range(3))
    rows = [
        row | {"cik": f"{seed}{row['cik']}", "filename": f"{seed}-{row['filename']}"}
        for seed, corpus in enumerate(corpora)
        for row in corpus
    ]
    world = World(spark, tmp_path, rows)
    found = world.run(contract=Bounds(most_overlap=1.0, most_repeats=1.0, most_eval=1.0)).counts
    sizes = Counter(Counter(row["family_id"] for row in world.rows()).values())
    assert found.families_by_size == {
        name: sum(sizes[size] for size in range(least, most + 1))
        for name, least, most in (
            *((str(size), size, size) for size in range(1, 5)),
            ("5 to 8", 5, 8),
        )
        if any(sizes[size] for size in range(least, most + 1))
    }
    assert max(sizes) > 2
    assert found.rejected_by_style is not None
    assert sum(found.rejected_by_style.values()) == found.examples_rejected > 0


def test_the_examples_of_each_template_are_counted_and_named(world: World) -> None:
    mix = task_mix.parse("heading-among-four/1=0.5,risk-factor-heading/2=0.5")
    prepared = world.run(tasks=mix)
    assert prepared.template == mix.name
    rows = world.rows()
    found = Counter("four headings" in row["prompt"][:60] for row in rows)
    assert prepared.counts.examples_by_template == {
        "heading-among-four/1": found[True],
        "risk-factor-heading/2": found[False],
    }
    assert found.total() == 66
    assert min(found.values()) > 10
    assert world.run(tasks=mix).sha256 == prepared.sha256
    with pytest.raises(Conflict, match="already wrote other content"):
        world.run()


def test_minus_one_reads_the_latest_version_and_another_that_one(world: World) -> None:
    assert world.run().source.version == 1
    earlier = world.run(raw_version=0, **another("bbbbbbbbbbbb"))
    assert (earlier.source.version, earlier.counts.filings_read) == (0, 11)


def test_filings_lost_while_reading_are_noticed_before_anything_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = judge.kernel
    monkeypatch.setattr(
        judge,
        "kernel",
        lambda batch, **given: real(batch.filter(pc.not_equal(batch["cik"], "1003")), **given),
    )
    with pytest.raises(IntegrityError, match="counts do not reconcile"):
        world.run()
    assert not list(world.curated.parent.rglob("*.parquet"))


@pytest.mark.parametrize("missing", ["read edgar.raw.filings", "create", "write"])
def test_a_missing_privilege_is_named_and_nothing_is_written(world: World, missing: str) -> None:
    if missing == "write":
        world.run()
        missing = "write edgar.curated.examples"
    elif missing == "create":
        missing = f"create {world.curated}"
    world.catalog.refused.add(missing)
    before = tree(world.root)
    with pytest.raises(AccessDenied) as refused:
        world.run(**another("bbbbbbbbbbbb"))
    for part in ("prepare-application-id", missing.split(" ")[1], "EXTERNAL USE SCHEMA"):
        assert part in str(refused.value)
    assert {path for path in tree(world.root) if path.suffix} == {
        path for path in before if path.suffix
    }


def test_a_missing_table_version_or_column_is_one_clear_error(world: World) -> None:
    with pytest.raises(NotFound, match="look up table"):
        world.run(raw_table=UcName.parse("edgar.raw.nothing"))
    with pytest.raises(NotFound, match="Delta version 7"):
        world.run(raw_version=7)
    write_deltalake(str(world.root / "other"), pa.table({"cik": ["1"], "text": ["x"]}))
    world.catalog.add("edgar.raw.other", world.root / "other")
    with pytest.raises(GovernanceError, match="is not a table of filings") as refused:
        world.run(raw_table=UcName.parse("edgar.raw.other"))
    assert "no column company, filing_type, filing_date, filename, item_1a at version 0" in str(
        refused.value
    )


def test_a_table_with_other_columns_is_not_written_to(world: World) -> None:
    write_deltalake(str(world.root / "taken"), pa.table({"a": ["1"]}))
    world.catalog.add("edgar.curated.examples", world.root / "taken")
    with pytest.raises(Conflict, match="has other columns than Prepare writes"):
        world.run()
    assert DeltaTable(str(world.root / "taken")).version() == 0


@pytest.mark.parametrize("name", ["edgar.curatde.examples", "egdar.curated.examples"])
def test_a_mistyped_schema_is_refused_before_anything_is_written(world: World, name: str) -> None:
    before = tree(world.root)
    with pytest.raises(NotFound, match=f"look up schema {name.rsplit('.', 1)[0]}"):
        world.run(curated_table=UcName.parse(name))
    assert tree(world.root) == before
    assert not world.evidence.documents


def test_tables_of_one_name_in_two_catalogs_stand_apart(world: World) -> None:
    first = world.run()
    second = world.run(
        curated_table=UcName.parse("other.curated.examples"), **another("bbbbbbbbbbbb")
    )
    assert first.target.location == str(world.root / "curated" / "edgar" / "curated" / "examples")
    assert second.target.location == str(world.root / "curated" / "other" / "curated" / "examples")
    assert (first.target.version, second.target.version) == (0, 0)


def test_a_huge_filing_costs_its_own_row_only(spark: "SparkSession", tmp_path: Path) -> None:
    huge = fakes.filing(
        1009, 2021, item_1a="Item 1A. Risk Factors\n" + "We may lose money. " * 600_000
    )
    world = World(spark, tmp_path, [*fakes.corpus(), huge])
    assert world.run().counts.rejected_by_reason["section_too_long"] == 1
