"""Measure trace: the index rebuilt from evidence, and whole commands that answer from it.

    python -m scripts.trace_bench                       # 1,000 models, 500 tables, 1 M filings
    python -m scripts.trace_bench --executions 200 --filings 4000 --models 40 --tables 20

It makes a history in a folder (a local copy of an evidence bucket), rebuilds the index, and runs
`python -m steps.trace --offline` for each question, imports included. The rebuild is without the
network; from S3 each document also costs one request. Targets: at least 20,000 records a minute,
and at most 2 s for a command.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.histories import Execution

_ROOT = Path(__file__).resolve().parent.parent
_LEAST_RECORDS_A_MINUTE, _MOST_SECONDS = 20_000, 2.0


def main() -> None:
    """Make the history, measure, and print the table."""
    numbers = _numbers()
    repeat = numbers.pop("repeat")
    from tests.support.folders import write
    from tests.support.histories import Size, made

    size = Size(**numbers, plain=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        began = time.monotonic()
        history = made(size, 7)
        write(folder / "evidence", history.objects)
        rows = sum(len(each.filings or {}) for each in history.plain)
        sys.stdout.write(
            f"{len(history.plain)} records of {size.models} models, {size.tables} raw tables, "
            f"{size.filings} filings in {rows} memberships; "
            f"made in {time.monotonic() - began:.0f} s\n"
        )
        last = history.plain[-1]
        seconds, cpu = _run(folder, [f"--execution={last.id}", "--rebuild"])
        rate = len(history.plain) * 60 / seconds
        rebuilt = f"{'rebuild, with one answer':<28}{seconds:8.2f} s  (CPU {cpu:.2f} s)"
        sys.stdout.write(f"{rebuilt}  {rate:,.0f} records a minute")
        sys.stdout.write(_verdict(rate >= _LEAST_RECORDS_A_MINUTE))
        for words in _questions(last):
            seconds, cpu = min(_run(folder, [*words, "--offline", "--json"]) for _ in range(repeat))
            name = words[0].partition("=")[0]
            sys.stdout.write(f"{name:<28}{seconds:8.2f} s  (CPU {cpu:.2f} s)")
            sys.stdout.write(_verdict(seconds <= _MOST_SECONDS))


def _verdict(good: bool) -> str:
    return "  meets the target\n" if good else "  misses the target\n"


def _questions(execution: "Execution") -> list[list[str]]:
    (filing, *_) = execution.filings or {}
    model, version = execution.model or ("", 0)
    return [
        [f"--model={model}@{version}"],
        [f"--execution={execution.id}"],
        [f"--table={execution.raw[0]}"],
        [f"--filing={filing}"],
        ["--principal=ada"],
    ]


def _run(folder: Path, words: list[str]) -> tuple[float, float]:
    """Run one command and return its wall seconds and its CPU seconds.

    Raises:
        subprocess.CalledProcessError: the command failed; its stderr is in the exception.
    """
    command = [
        sys.executable,
        "-m",
        "steps.trace",
        f"--evidence-uri={folder / 'evidence'}",
        f"--index={folder / 'index'}",
        *words,
    ]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, cpu


def _numbers() -> dict[str, int]:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.trace_bench", description=(__doc__ or "").splitlines()[0]
    )
    defaults = {
        "executions": 2000,
        "models": 1000,
        "tables": 500,
        "filings": 1_000_000,
        "filings-each": 1000,
        "repeat": 3,
    }
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    return vars(parser.parse_args())


if __name__ == "__main__":
    main()
