#!/usr/bin/env python
"""Measure training: ours against its peers, on the same documents and the same model, as one table of ratios.

    .venv/bin/python scripts/bench-train [--quick] [--rounds 2] [--json FILE]        (make bench-train)

Every case runs in a process of its own with one thread; medians over the rounds. A token is a real one, never padding. Peak RSS
is that of the whole process, imports included. Exit 0: all rows were measured or say why not here · 1: a case failed.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from scripts.training_bench import runner, sections, table  # noqa: E402 - a script is not started from the repository only


def main() -> int:
    """Run, measure, print."""
    arguments = parse(sys.argv[1:])
    cases = runner.Runner(arguments.threads)
    extent = sections.Extent(arguments.quick, arguments.rounds, arguments.rehearse_gpu)
    printed = [
        row for section in arguments.only for row in sections.measure(section, cases, extent)
    ]
    print(table.rendered(printed))
    print(f"\n{about(arguments)}")
    if arguments.json:
        record = {
            "about": about(arguments),
            "rows": [row.record() for row in printed],
            "cases": cases.results,
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 1 if cases.failures else 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round over half the documents: a look, not a result",
    )
    parser.add_argument("--rounds", type=int, default=2, help="rounds over all cases (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="of each case (default 1)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=sections.SECTIONS,
        default=sections.SECTIONS,
        help="sections (default all)",
    )
    parser.add_argument(
        "--rehearse-gpu",
        action="store_true",
        help="the GPU rows' code on the CPU, with tiny shapes",
    )
    parser.add_argument("--json", type=Path, help="also write every number there")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.rounds = 1
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads: expected at least 1")
    return arguments


def about(arguments: argparse.Namespace) -> str:
    """The machine and what ran on it."""
    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    packages = ("torch", "transformers", "peft", "accelerate")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{cpu}, {os.cpu_count()} cores, {arguments.threads} thread(s) a case, {arguments.rounds} round(s); load "
        f"{os.getloadavg()[0]:.1f} at the end; python {platform.python_version()}, {versions}, trl 1.16.0"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
