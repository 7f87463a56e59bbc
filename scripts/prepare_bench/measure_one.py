"""Run Prepare's whole job once in this process, and print what it used as one JSON line.

    PYTHONPATH=<checkout> python measure_one.py <raw table> <scratch folder>

The checkout decides which build runs. The job runs on a small table first, so that imports and
Sail's start are not counted. `examined` and `written` count rows that go into
`examine` and risk factors that go into `write`.
"""

import json
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RUST_LOG", "error")  # before Sail starts

from deltalake import DeltaTable
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from steps.prepare.delta.delta_rs import DeltaRsStore
from steps.prepare.filings import examination, examples
from steps.prepare.job import Job
from tests.steps.prepare.support import fakes

_KIB_PER_MIB = 1024


class Counter:
    """Counts the rows that go through a kernel; its tasks are threads of this process."""

    def __init__(self, module: Any, name: str, rows: Any) -> None:
        self.seen, self._rows, self._kernel = 0, rows, getattr(module, name)
        self._lock = threading.Lock()
        setattr(module, name, self)

    def __call__(self, batch: Any, *given: Any, **named: Any) -> Any:
        """Count, then run the kernel."""
        with self._lock:
            self.seen += self._rows(batch)
        return self._kernel(batch, *given, **named)


def main(raw: Path, scratch: Path) -> None:
    """Run the job on a small table, then on `raw`, and print the second's numbers."""
    server = SparkConnectServer()
    server.start()
    address = f"sc://127.0.0.1:{server.listening_address[1]}"
    spark = SparkSession.builder.remote(address).getOrCreate()
    job(spark, fakes.raw_table(scratch / "small", fakes.corpus()), scratch / "first")
    examined = Counter(examination, "examine", lambda batch: batch.num_rows)
    written = Counter(examples, "write", lambda batch: _factors(batch))
    floor = _peak_mib()
    began, wall = time.process_time(), time.monotonic()
    prepared = job(spark, raw, scratch / "second")
    found = {
        "cpu_seconds": time.process_time() - began,
        "wall_seconds": time.monotonic() - wall,
        "floor_mib": floor,
        "peak_mib": _peak_mib(),
        "examined": examined.seen,
        "written": written.seen,
        "examples": prepared.counts.examples_train + prepared.counts.examples_eval,
        "rejected": prepared.counts.rejected_by_reason,
        "digests": digests(scratch / "second"),
        "counts": prepared.counts.model_dump(mode="json"),
        "checks": {check.name: check.found for check in prepared.contract.checks},
    }
    spark.stop()  # its threads end while the server still answers
    print(json.dumps(found))


def job(spark: Any, raw: Path, root: Path) -> Any:
    """Run the job on one table, and return its manifest."""
    catalog = fakes.FolderCatalog(root)
    catalog.add("edgar.raw.filings", raw)
    store, evidence = DeltaRsStore(spark), fakes.MemoryEvidence()
    arguments = fakes.arguments(root)
    # The words of a large corpus of few sentences repeat, so its eval overlaps with train.
    arguments = replace(arguments, contract=replace(arguments.contract, most_overlap=1.0))
    return Job(arguments, catalog, store, evidence).run()  # type: ignore[arg-type]


def digests(root: Path) -> list[int]:
    """Return a number for the rows of both tables, independent of their order."""
    import polars as pl

    found = []
    for name in ("examples", "examples_rejected"):
        table = DeltaTable(str(root / "curated" / "edgar" / "curated" / name))
        rows = pl.DataFrame(table.to_pyarrow_table())
        found.append(int(rows.select(sorted(rows.columns)).hash_rows(seed=0).sort().hash(1).sum()))
    return found


def _factors(batch: Any) -> int:
    return sum(len(factors or ()) for factors in batch["risk_factors"].to_pylist())


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MIB


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
