"""A folder with a raw table, its catalog, and Prepare's job on the tests' Spark session."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from steps.governance.documents.manifest import Prepared
from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.job import Job
from tests.steps.prepare.support import fakes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class World:
    """One catalog with a raw table, and the job on it."""

    def __init__(
        self,
        spark: "SparkSession",
        root: Path,
        rows: list[dict[str, str | None]] | None = None,
        *,
        raw: Path | None = None,
    ) -> None:
        self.root, self.store = root, DeltaRsStore(spark)
        self.catalog, self.evidence = fakes.FolderCatalog(root), fakes.MemoryEvidence()
        self.raw = raw or fakes.raw_table(root / "raw", fakes.corpus() if rows is None else rows)
        self.catalog.add("edgar.raw.filings", self.raw)

    def run(self, **changes: Any) -> Prepared:
        arguments = fakes.arguments(self.root, **changes)
        return Job(
            arguments,
            self.catalog,  # type: ignore[arg-type]
            self.store,
            self.evidence,  # type: ignore[arg-type]
        ).run()

    @property
    def curated(self) -> Path:
        return self.root / "curated" / "edgar" / "curated" / "examples"

    def rows(self, name: str = "examples") -> list[dict[str, Any]]:
        table = DeltaTable(str(self.curated.with_name(name))).to_pyarrow_table()
        return table.to_pylist()


def another(identifier: str) -> dict[str, str]:
    return {
        "execution_arn": fakes.execution_arn(identifier),
        "manifest_uri": f"s3://evidence/{identifier}",
    }


def tree(root: Path) -> set[Path]:
    return set(root.rglob("*"))
