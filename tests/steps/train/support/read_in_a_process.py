"""Read, tokenize and pack a curated table in a separate process; print time and memory as JSON.

    PYTHONPATH=. python tests/steps/train/support/read_in_a_process.py TABLE MANIFEST BASE_MODEL

The peak is the kernel's VmHWM. `getrusage`'s ru_maxrss does not work here: it starts at the peak of
the parent process (measured: a child of 13 MiB of a parent of 400 MiB reported 413).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from steps.governance.documents.manifest import Prepared
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.retrying import Policy
from steps.train.data import corpus, verified_table
from steps.train.data.chat_template import Chat

REPOSITORY = Path(__file__).resolve().parents[4]


class _LocalAccess:
    policy = Policy()

    def storage_options(self) -> dict[str, str]:
        return {}


def measured(table: Path, manifest: Prepared, base_model: Path) -> dict[str, Any]:
    """Run `main` in a fresh process; return its measurements."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(manifest.to_bytes())
        file.flush()
        command = [sys.executable, __file__, str(table), file.name, str(base_model)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        return dict(json.loads(subprocess.check_output(command, env=environment, text=True)))


def main(table: Path, manifest: Path, base_model: Path) -> dict[str, float]:
    """Read, tokenize and pack in this process; return the measurements."""
    prepared = Prepared.from_bytes(manifest.read_bytes(), origin=str(manifest))
    target = prepared.target
    known = Table(UcName.parse(target.table), target.table_id, str(table))
    began, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        batches = verified_table.stream(
            prepared, known, _LocalAccess(), execution_arn=prepared.execution_arn
        )
        built = corpus.build(
            batches, Chat(base_model), Path(folder) / "corpus", row_tokens=1024, seed=17
        )
        return {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "documents": len(built.train.documents),
            "tokens": built.train.lengths.tokens,
            "fill": built.train.lengths.tokens / len(built.train.rows) / 1024,
            "peak_mib": _peak_mib(),
        }


def _peak_mib() -> float:
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:]))))  # noqa: T201 - the result for the parent
