"""Measure our training against its peers, on the same documents and model, as a table of ratios.

    python -m scripts.training_bench [--quick] [--rounds 2] [--json FILE]        (make bench-train)
    python -m scripts.training_bench --only gpu --rounds 1 --minutes 9 --into docs/bench-train.md

The second line is for a GPU that is lent for ten minutes: it runs unattended.

Every case runs in a separate process with one thread; the numbers are medians over the rounds.
Tokens are real ones, without padding. Peak RSS is that of the whole process, imports included. The
exit code is 0 if every row was measured or gives the reason why not, 1 if a case failed, and 2
without the peers of `scripts/bench-venv`.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

from scripts.training_bench import sections, table
from scripts.training_bench.runner import PEERS, Runner


def main() -> int:
    """Run the sections, print the table, write the JSON file."""
    arguments = parse(sys.argv[1:])
    if not PEERS.exists():
        print(f"{PEERS} is not there; run scripts/bench-venv", file=sys.stderr)
        return 2
    until = time.monotonic() + 60 * arguments.minutes if arguments.minutes else None
    runner = Runner(arguments.threads, until)
    extent = sections.Extent(arguments.quick, arguments.rounds, arguments.rehearse_gpu)
    printed = [
        row for section in arguments.only for row in sections.measure(section, runner, extent)
    ]
    print(table.rendered(printed))
    print(f"\n{about(arguments)}")
    if arguments.json:
        record = {
            "about": about(arguments),
            "rows": [row.record() for row in printed],
            "cases": runner.results,
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if arguments.into:
        table.write_into(arguments.into, printed, about(arguments))
    return 1 if runner.failures else 0


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.training_bench", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round over half the documents: a first look, not a result",
    )
    parser.add_argument("--rounds", type=int, default=2, help="rounds over all cases (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each case (default 1)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=sections.SECTIONS,
        default=sections.SECTIONS,
        help="sections (default all)",
    )
    rehearsed = "run the code of the GPU rows on the CPU, with tiny shapes"
    parser.add_argument("--rehearse-gpu", action="store_true", help=rehearsed)
    parser.add_argument(
        "--minutes",
        type=float,
        help="end after so long; rows that were not reached give the reason",
    )
    parser.add_argument(
        "--into", type=Path, help="also replace the rows of the same names in this page's table"
    )
    parser.add_argument("--json", type=Path, help="also write every number to this file")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.rounds = 1
    for path in filter(None, (arguments.into, arguments.json)):  # before minutes of measuring
        if not _may_write(path, there=path == arguments.into):
            parser.error(f"{path}: expected a file that may be written")
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads: expected at least 1")
    return arguments


def _may_write(path: Path, *, there: bool) -> bool:
    """Return whether a file can be written; `there`: it exists, since a table in it is changed."""
    asked = path if there or path.exists() else path.parent
    return os.access(asked, os.W_OK) and not path.is_dir()


def about(arguments: argparse.Namespace) -> str:
    """Return the machine, the versions and the extent of the run in one line."""
    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    packages = ("torch", "transformers", "peft", "accelerate")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{cpu}, {os.cpu_count()} cores, {arguments.threads} thread(s) a case, "
        f"{arguments.rounds} round(s); load {os.getloadavg()[0]:.1f} at the end; "
        f"python {platform.python_version()}, {versions}, trl 1.16.0"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
