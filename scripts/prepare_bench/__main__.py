"""Measure Prepare's whole job on Sail: CPU seconds, peak memory, and how often each kernel runs.

    python -m scripts.prepare_bench [--filings 320] [--against CHECKOUT]

The corpus has the shape of real filings (`corpus.py`) and is the same for one seed. `--against` is
a folder with another version of this repository (`git worktree add`): its job runs on the same
table, in turn with this one's, and the least CPU time of each counts. The last line states whether
both wrote the same rows. CPU seconds are those of the whole process, Sail's threads included.
Memory is the process's peak; its floor is the peak after a job on a tiny table. The allocators are
set as in a job run of the local environment.
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
from scripts.prepare_bench.corpus import Shape, filings

_REPOSITORY = Path(__file__).parents[2]
_FILINGS_IN_A_FILE = 1_000


def main() -> int:
    """Write the raw table, run the job of each checkout, print the table."""
    arguments = _parse()
    checkouts = {"this": _REPOSITORY}
    if arguments.against:
        checkouts = {"against": arguments.against.resolve(), **checkouts}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shape = Shape(arguments.factors, arguments.body)
        size = raw_table(folder / "raw", arguments.filings, shape, seed=arguments.seed)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
        for run in range(arguments.runs):
            for name, checkout in checkouts.items():
                runs[name].append(measured(checkout, folder / "raw", folder / f"{name}{run}"))
    print(table(arguments.filings, size, runs))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.prepare_bench", description=(__doc__ or "").split("\n\n")[0]
    )
    numbers = {
        "filings": (320, "rows of the raw table (default 320, about 28 MB)"),
        "factors": (Shape.factors, "risk factors of a filing (default 42)"),
        "body": (Shape.body, "characters of a factor's body (default 1990)"),
        "runs": (2, "jobs of each checkout (default 2)"),
        "seed": (1, "of the corpus (default 1)"),
    }
    for name, (default, meaning) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=meaning)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turn")
    return parser.parse_args()


def raw_table(location: Path, count: int, shape: Shape, *, seed: int) -> int:
    """Write the raw Delta table in files of 1,000 filings; return the bytes of its sections."""
    import pyarrow as pa
    from deltalake import write_deltalake

    size, waiting = 0, list[dict[str, str | None]]()
    for filing in filings(count, seed=seed, shape=shape):
        size += len(str(filing["item_1a"]))
        waiting.append(filing)
        if len(waiting) == _FILINGS_IN_A_FILE:
            write_deltalake(str(location), pa.Table.from_pylist(waiting), mode="append")
            waiting = []
    if waiting:
        write_deltalake(str(location), pa.Table.from_pylist(waiting), mode="append")
    return size


def measured(checkout: Path, raw: Path, scratch: Path) -> dict[str, Any]:
    """Run one checkout's job in a separate process; return its numbers."""
    script = Path(__file__).with_name("measure_one.py")
    done = subprocess.run(
        [sys.executable, str(script), str(raw), str(scratch)],
        env=os.environ | SAIL_ENVIRONMENT | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(count: int, size: int, runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return one column per checkout, of the run with the least CPU time, and the ratio."""
    megabytes = size / 1e6
    best = {name: min(found, key=lambda one: one["cpu_seconds"]) for name, found in runs.items()}
    factors = {name: one["written"] / (one["examined"] or 1) for name, one in best.items()}
    rows = {
        "CPU seconds": [one["cpu_seconds"] for one in best.values()],
        "MB per CPU second": [megabytes / one["cpu_seconds"] for one in best.values()],
        "wall seconds": [one["wall_seconds"] for one in best.values()],
        "peak memory, MiB": [one["peak_mib"] for one in best.values()],
        "above the floor, MiB": [one["peak_mib"] - one["floor_mib"] for one in best.values()],
        "examine sees a filing": [one["examined"] / count for one in best.values()],
        "factors of a filing seen": list(factors.values()),
        "write sees them": [one["written"] / count / factors[name] for name, one in best.items()],
        "examples": [one["examples"] for one in best.values()],
    }
    lines = [f"{count} filings, {megabytes:.1f} MB of text", " " * 26 + _columns([*best, "ratio"])]
    for name, values in rows.items():
        ratio = f"{values[-1] / values[0]:.2f}" if len(values) > 1 and values[0] else ""
        lines.append(f"{name:<26}" + _columns([*(f"{value:.2f}" for value in values), ratio]))
    if len(best) > 1:
        same = len({json.dumps([one["digests"], one["rejected"]]) for one in best.values()}) == 1
        lines.append("same rows in both tables" if same else "THE ROWS OF THE TABLES DIFFER")
    return "\n".join(lines)


def _columns(values: list[str]) -> str:
    return "".join(f"{value:>12}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
