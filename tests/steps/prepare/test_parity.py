"""The job writes the same rows on Sail, on Spark 4.0 with our adapter, and on Spark's Delta."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.delta.staging import kept
from steps.prepare.job import Job
from steps.prepare.task_mix import COMPARE
from tests.steps.prepare.support import edited, fakes
from tests.steps.prepare.support.real_spark import RealSpark, needed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLES = ("examples", "examples_rejected")
ENGINES = ("connector", "connector, few rows", "delta-rs")

pytestmark = needed


@pytest.fixture(scope="module")
def on_spark(tmp_path_factory: pytest.TempPathFactory, real_spark: RealSpark) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("parity")
    real_spark.run("parity_on_spark", folder, "-")
    return dict(json.loads((folder / "found.json").read_text()))


@pytest.fixture(scope="module")
def on_sail(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sail")
    catalog, evidence = fakes.FolderCatalog(folder), fakes.MemoryEvidence()
    rows = [*fakes.corpus(), *edited.two_years()]
    catalog.add("edgar.raw.filings", fakes.raw_table(folder / "raw", rows))
    job = Job(
        fakes.arguments(folder, tasks=edited.MIX, contract=edited.ANY),
        catalog,  # type: ignore[arg-type]
        DeltaRsStore(spark),
        evidence,  # type: ignore[arg-type]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "ROWS_OF_A_SHARD", 40)  # several rounds here, one on Spark
        prepared = job.run()
    tables = {
        name: DeltaTable(str(folder / "curated" / "edgar" / "curated" / name)) for name in TABLES
    }
    return {
        "manifest": json.loads(prepared.to_bytes()),
        "commits": [table.history(1)[0]["userMetadata"] for table in tables.values()],
        "rows": {name: table.to_pyarrow_table().to_pylist() for name, table in tables.items()},
    }


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_row_of_both_tables_is_the_same(
    engine: str, on_spark: dict[str, Any], on_sail: dict[str, Any]
) -> None:
    for table in TABLES:
        expected = in_order(on_sail["rows"][table])
        assert expected, "nothing to compare"
        assert in_order(on_spark[engine]["rows"][table]) == expected
    assert on_sail["manifest"]["counts"]["examples_by_template"][COMPARE] > 4


@pytest.mark.parametrize("engine", ENGINES)
def test_counts_and_content_digests_are_the_same(
    engine: str, on_spark: dict[str, Any], on_sail: dict[str, Any]
) -> None:
    found = on_spark[engine]
    for name in ("counts", "schema_sha256", "template", "created_at"):
        assert name in found["manifest"]
    assert found["manifest"]["counts"] == on_sail["manifest"]["counts"]
    digests = [
        [json.loads(commit)["content_sha256"] for commit in side["commits"]]
        for side in (found, on_sail)
    ]
    assert digests[0] == digests[1]
    assert [json.loads(commit)["execution_arn"] for commit in found["commits"]] == [
        fakes.execution_arn()
    ] * 2


def test_the_same_files_come_from_our_adapter_on_both_engines(
    on_spark: dict[str, Any], on_sail: dict[str, Any]
) -> None:
    assert on_spark["delta-rs"]["manifest"]["files"] == on_sail["manifest"]["files"]


def test_spark_s_own_files_are_named_with_their_digest(on_spark: dict[str, Any]) -> None:
    files = on_spark["connector"]["manifest"]["files"]
    assert sum(file["rows"] for file in files) == len(on_spark["connector"]["rows"]["examples"])
    assert all(file["path"].startswith("execution_id=abcdefghijkl/part-") for file in files)


def test_a_table_without_rows_is_refused_as_on_sail(on_spark: dict[str, Any]) -> None:
    """With adaptive execution Spark runs no task for a frame that it finds empty."""
    assert "the raw table is empty at this version, nothing was written" in on_spark["empty"]
