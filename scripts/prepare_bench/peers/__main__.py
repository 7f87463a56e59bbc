"""Compare Prepare's whole job with plain polars and datatrove: CPU seconds, as one table.

    scripts/bench-venv && .venv/bin/python -m scripts.prepare_bench.peers [--filings 320]

All read the same corpus (`scripts.prepare_bench.corpus`). Each peer's file states what it does and
what it leaves out. A ratio is the peer's CPU seconds for each of ours, so above 1 ours needs less.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.prepare_bench.__main__ import measured, raw_table
from scripts.prepare_bench.corpus import Shape, filings
from steps.prepare.arrow_tasks import bounded
from steps.prepare.filings import examination

_REPOSITORY = Path(__file__).parents[3]
_PEERS = _REPOSITORY / "build" / "bench-venv" / "bin" / "python"
_FEW = 20  # documents of the warm-up


def main() -> int:
    """Write the corpus, run each program, print the table."""
    arguments = _parse()
    if not arguments.peers.exists():
        print(f"{arguments.peers} is not there; run scripts/bench-venv", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = raw_table(folder / "raw", arguments.filings, Shape(), seed=1)
        documents(folder / "documents", arguments.filings)
        ours = measured(_REPOSITORY, folder / "raw", folder / "ours")
        module = "scripts.prepare_bench.peers.plain_polars"
        polars = _run([sys.executable, "-m", module, str(folder / "raw"), str(folder / "polars")])
        script = Path(__file__).with_name("with_datatrove.py")
        words = [str(script), str(folder / "documents"), str(folder / "datatrove")]
        datatrove = _run([str(arguments.peers), *words])
    examples = polars["examples"]
    print(f"{arguments.filings} filings, {size / 1e6:.1f} MB of text, {examples} examples")
    print(table(size / 1e6, {"ours": ours, "plain polars": polars, "datatrove": datatrove}))
    return 0


def documents(folder: Path, count: int) -> None:
    """Write each risk factor's body as a line of JSON: all of them, and a few."""
    bodies = list(_bodies(count))
    for name, some in (("all", bodies), ("few", bodies[:_FEW])):
        (folder / name).mkdir(parents=True)
        with (folder / name / "documents.jsonl").open("w") as file:
            for number, body in enumerate(some):
                file.write(json.dumps({"text": body, "id": str(number)}) + "\n")


def _bodies(count: int) -> Iterable[str]:
    rows = pa.Table.from_pylist(list(filings(count, seed=1)))
    for batch in bounded(rows.to_batches()):
        for factors in examination.examine(batch)["risk_factors"].to_pylist():
            yield from (factor["body"] for factor in factors or ())


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(megabytes: float, whole: dict[str, dict[str, Any]]) -> str:
    """Return the lines: whole job, and near duplicates alone."""
    ours, polars, peer = whole.values()
    lines = [f"{'whole job':<22}{'CPU s':>9}{'MB/CPU s':>11}{'ratio':>8}"]
    for name, one in whole.items():
        seconds = one["cpu_seconds"]
        ratio = seconds / ours["cpu_seconds"]
        lines.append(f"{name:<22}{seconds:>9.2f}{megabytes / seconds:>11.2f}{ratio:>8.2f}")
    lines.append(f"{'near duplicates':<22}{'CPU s':>9}{'MB/CPU s':>11}{'ratio':>8}")
    own = polars["minhash_seconds"]
    for name, seconds in (("ours, exact check", own), ("datatrove", peer["minhash_seconds"])):
        lines.append(f"{name:<22}{seconds:>9.2f}{megabytes / seconds:>11.2f}{seconds / own:>8.2f}")
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.prepare_bench.peers",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("--filings", type=int, default=320, help="rows (default 320, 28 MB)")
    parser.add_argument("--peers", type=Path, default=_PEERS, help="a Python that has datatrove")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
