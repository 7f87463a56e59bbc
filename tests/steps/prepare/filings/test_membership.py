"""The membership file names each filing that gave examples, with the digest of its raw text."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.governance.documents import membership
from steps.governance.documents.manifest import Prepared
from steps.governance.errors import GovernanceError
from steps.prepare.filings import examination
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.world import World, another

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ACCESSION = "0000001001-20-000007"


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def stored(world: World, prepared: Prepared, uri: str) -> bytes:
    assert prepared.membership is not None
    return world.evidence.documents[f"{uri.rpartition('/')[0]}/{prepared.membership.path}"]


def listed(world: World, prepared: Prepared) -> list[dict[str, Any]]:
    content = stored(world, prepared, fakes.arguments(world.root).manifest_uri)
    assert prepared.membership == membership.entry(content, prepared.membership.rows or 0)
    rows: list[dict[str, Any]] = membership.read(content, origin="here").to_pylist()
    assert len(rows) == prepared.membership.rows
    return rows


def test_every_filing_with_examples_is_there_once_with_its_raw_text_and_counts(
    world: World,
) -> None:
    rows = listed(world, world.run())
    written = world.rows()
    texts = {
        hashlib.sha256((row["item_1a"] or row["part_2_item_1a"] or "").encode()).digest(): row
        for row in reversed(fakes.corpus())  # of two equal texts the first gives the examples
    }
    found = Counter[tuple[str, str, str]]()
    for row in rows:
        raw = texts[row["text_sha256"]]
        assert row["cik"] == str(raw["cik"]).zfill(10) == row["filing_id"].partition("/")[0]
        for split in ("train", "eval"):
            if count := row[f"examples_{split}"]:
                found[row["cik"], str(raw["filename"]), split] += count
    expected = Counter((row["cik"], row["source_filing"], row["split"]) for row in written)
    assert found == expected


def test_the_counts_are_those_of_the_manifest(world: World) -> None:
    prepared = world.run()
    rows = listed(world, prepared)
    assert sum(row["examples_train"] for row in rows) == prepared.counts.examples_train
    assert sum(row["examples_eval"] for row in rows) == prepared.counts.examples_eval


def test_a_rejected_filing_is_not_listed_and_an_accession_number_identifies(
    spark: "SparkSession", tmp_path: Path
) -> None:
    rows = fakes.corpus()
    rows[0]["filename"] = f"{ACCESSION}.htm"
    world = World(spark, tmp_path, rows)
    found = listed(world, world.run())
    assert f"0000001001/{ACCESSION}" in {row["filing_id"] for row in found}
    gave = {row["source_filing"] for row in world.rows()}
    rejected = {row["source_filing"] for row in world.rows("examples_rejected")} - gave
    digests = {row["text_sha256"] for row in found}
    assert rejected
    for row in fakes.corpus():
        if row["filename"] in rejected and row["item_1a"]:
            digest = hashlib.sha256(row["item_1a"].encode()).digest()
            assert digest not in digests or row["filing_date"] == "2022-03-01"


def test_equal_input_gives_equal_bytes_in_any_execution_and_no_text(world: World) -> None:
    first, second = world.run(), world.run(**another("bbbbbbbbbbbb"))
    assert first.membership == second.membership
    content = stored(world, first, fakes.arguments(world.root).manifest_uri)
    assert b"Company" not in content
    assert b"risk" not in content.lower()
    (types,) = {kind for uri, kind in world.evidence.types.items() if uri.endswith(".parquet")}
    assert types == membership.MEDIA_TYPE


def test_a_file_that_is_too_large_is_refused_before_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.governance.evidence._MAX_BYTES", 100)
    with pytest.raises(GovernanceError, match="would not be an evidence document"):
        world.run()
    assert not world.evidence.documents
    assert not world.curated.exists() or not list(world.curated.rglob("*.json"))


def test_the_raw_text_of_two_copies_decides_which_one_is_listed(
    spark: "SparkSession", tmp_path: Path
) -> None:
    """Two rows of one filing that differ in blanks only: every run lists the same one."""
    rows = fakes.corpus()
    rows.append(rows[0] | {"item_1a": f"{rows[0]['item_1a']}   \n"})
    digests = set()
    for number, order in enumerate((rows, rows[::-1])):
        (tmp_path / str(number)).mkdir()
        world = World(spark, tmp_path / str(number), order)
        prepared = world.run()
        assert prepared.counts.rejected_by_reason[examination.DUPLICATE_FILING] >= 1
        digests.add(prepared.membership.sha256 if prepared.membership else None)
    assert len(digests) == 1
