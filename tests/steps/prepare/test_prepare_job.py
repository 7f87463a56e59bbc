"""The whole job on Sail over a folder: what it writes, what it refuses, and that it may be repeated."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prepare_fakes as fakes
import pytest
from deltalake import DeltaTable

from steps.governance.manifest import Prepared
from steps.prepare.delta_rs import DeltaRsStore
from steps.prepare.job import Job

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


class World:
    """One catalog with a raw table, and the job on it."""

    def __init__(self, spark: "SparkSession", root: Path, rows: list[dict[str, str | None]] | None = None) -> None:
        self.root, self.store = root, DeltaRsStore(spark)
        self.catalog, self.evidence = fakes.FolderCatalog(root), fakes.MemoryEvidence()
        self.raw = fakes.raw_table(root / "raw", fakes.corpus() if rows is None else rows)
        self.catalog.add("edgar.raw.filings", self.raw)

    def run(self, **changes: Any) -> Prepared:
        job = Job(fakes.arguments(self.root, **changes), self.catalog, self.store, self.evidence)  # type: ignore[arg-type]
        return job.run()

    @property
    def curated(self) -> Path:
        return self.root / "curated" / "curated" / "examples"

    def rows(self, name: str = "examples") -> list[dict[str, Any]]:
        table = DeltaTable(str(self.curated.with_name(name))).to_pyarrow_table()
        return table.to_pylist()


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


def test_every_filing_is_kept_or_rejected_with_a_reason(world: World) -> None:
    prepared = world.run()
    counts = prepared.counts
    assert counts.filings_read == len(fakes.corpus()) == counts.filings_kept + counts.filings_rejected
    reasons = Counter(row["reason"] for row in world.rows("examples_rejected"))
    assert (
        dict(reasons)
        == counts.rejected_by_reason
        == {
            "no_risk_factors": 1,
            "smaller_reporting_company": 1,
            "invalid_record": 1,
            "unsupported_form": 1,
            "duplicate_section": 1,
        }
    )
    assert len(world.rows()) == counts.examples_train + counts.examples_eval == 66
