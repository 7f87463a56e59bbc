"""Compare Prepare's whole job with plain polars and datatrove: CPU seconds, as one table.

    scripts/bench-venv && .venv/bin/python -m scripts.prepare_bench.peers [--filings 320] [--runs 3]

All read the same corpus (`scripts.prepare_bench.corpus`). Each peer's file states what it does and
what it leaves out. Ours and plain polars run in turn, and the least CPU time of each counts; both
must give the same rows, counts and numbers of the contract, else the command ends with 3. A ratio
is the peer's CPU seconds for each of ours, so above 1 ours needs less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.local.aws.emr_serverless.driver_run import SAIL_ENVIRONMENT
from scripts.prepare_bench.__main__ import measured, raw_table
from scripts.prepare_bench.corpus import Shape

_REPOSITORY = Path(__file__).parents[3]
_PEERS = _REPOSITORY / "build" / "bench-venv" / "bin" / "python"
_DIFFERS = 3  # exit code

Found = dict[str, Any]


def main() -> int:
    """Write the corpus, run each program, print the table."""
    arguments = _parse()
    if not arguments.without_datatrove and not arguments.peers.exists():
        print(f"{arguments.peers} is not there; run scripts/bench-venv", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = raw_table(folder / "raw", arguments.filings, Shape(), seed=1)
        best, differing = in_turn(folder, arguments.runs)
        if not arguments.without_datatrove:
            best["datatrove"] = _datatrove(folder, arguments)
    examples = best["ours"]["examples"]
    print(f"{arguments.filings} filings, {size / 1e6:.1f} MB of text, {examples} examples")
    print(table(size / 1e6, best))
    print("; ".join(differing) or "ours and plain polars: same rows, counts and contract")
    return _DIFFERS if differing else 0


def in_turn(folder: Path, runs: int) -> tuple[dict[str, Found], list[str]]:
    """Run ours and plain polars in turn; return the best of each, and in what they differ."""
    from scripts.prepare_bench.peers.compared import differences, tables_of

    found: dict[str, list[Found]] = {"ours": [], "plain polars": []}
    differing = set[str]()
    for run in range(runs):
        ours, peer = folder / f"ours{run}", folder / f"polars{run}"
        found["ours"].append(measured(_REPOSITORY, folder / "raw", ours))
        found["plain polars"].append(_polars(folder / "raw", peer))
        last = (found["ours"][-1], found["plain polars"][-1])
        differing.update(differences(*last, tables_of(ours, peer)))
    best = {
        name: min(of_one, key=lambda one: float(one["cpu_seconds"]))
        for name, of_one in found.items()
    }
    return best, sorted(differing)


def _polars(raw: Path, scratch: Path) -> Found:
    module = "scripts.prepare_bench.peers.plain_polars"
    return _run([sys.executable, "-m", module, str(raw), str(scratch)])


def _datatrove(folder: Path, arguments: argparse.Namespace) -> Found:
    from scripts.prepare_bench.peers.compared import documents

    documents(folder / "documents", arguments.filings)
    script = Path(__file__).with_name("with_datatrove.py")
    return _run(
        [str(arguments.peers), str(script), *map(str, (folder / "documents", folder / "datatrove"))]
    )


def _run(command: list[str]) -> Found:
    done = subprocess.run(
        command,
        cwd=_REPOSITORY,
        env=os.environ | SAIL_ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def table(megabytes: float, whole: dict[str, Found]) -> str:
    """Return the lines: whole job, and near duplicates alone."""
    ours = whole["ours"]["cpu_seconds"]
    lines = [f"{'whole job':<22}{'CPU s':>9}{'MB/CPU s':>11}{'ratio':>8}"]
    for name, one in whole.items():
        seconds = one["cpu_seconds"]
        lines.append(f"{name:<22}{seconds:>9.2f}{megabytes / seconds:>11.2f}{seconds / ours:>8.2f}")
    if "datatrove" in whole:
        own, peer = (whole[name]["minhash_seconds"] for name in ("plain polars", "datatrove"))
        lines.append(f"{'near duplicates':<22}{'CPU s':>9}{'MB/CPU s':>11}{'ratio':>8}")
        for name, seconds in (("ours, exact check", own), ("datatrove", peer)):
            lines.append(
                f"{name:<22}{seconds:>9.2f}{megabytes / seconds:>11.2f}{seconds / own:>8.2f}"
            )
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.prepare_bench.peers",
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.add_argument("--filings", type=int, default=320, help="rows (default 320, 28 MB)")
    parser.add_argument("--runs", type=int, default=3, help="of ours and of polars (default 3)")
    parser.add_argument("--without-datatrove", action="store_true", help="the slowest peer")
    parser.add_argument("--peers", type=Path, default=_PEERS, help="a Python that has datatrove")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
