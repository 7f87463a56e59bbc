#!/usr/bin/env python
"""Run a command and print what it and every process that it started took: peak memory, CPU time, when and how long.

    .venv/bin/python scripts/peak-memory -- .venv/bin/python -m pipeline.local run --filings filings.jsonl --set MaxSteps=20

Peak memory is the kernel's own high-water mark of resident memory (VmHWM in /proc, so Linux only). Shared pages count in each
process. Processes are looked at five times a second, so one that lives for a shorter time may be missing. The exit code is the
command's.
"""

import argparse
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_SECONDS = 0.2
_MIB = 1024


@dataclass
class Seen:
    """One process as it was last seen."""

    name: str
    began: float  # seconds after the command
    lasted: float = 0.0
    cpu: float = 0.0
    peak_kib: int = 0


def main() -> int:
    """Run, sample, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    words = parser.parse_args().command
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        parser.error("which command? give it after --")
    seen: dict[tuple[int, float], Seen] = {}
    began = time.time()
    command = psutil.Popen(words)
    while True:
        with suppress(psutil.NoSuchProcess):
            for process in (command, *command.children(recursive=True)):
                look(process, seen, began)
        try:
            code = command.wait(_EVERY_SECONDS)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
        print(table(list(seen.values())))
        return int(code)


def look(process: psutil.Process, seen: dict[tuple[int, float], Seen], began: float) -> None:
    """Note what this process has taken so far."""
    with suppress(psutil.Error, OSError, ValueError):
        key = (process.pid, process.create_time())
        status = Path(f"/proc/{process.pid}/status").read_text()
        words = process.cmdline()
        if "VmHWM:" not in status or not words:
            return  # it ended, or has not begun
        found = seen.setdefault(key, Seen("", key[1] - began))
        times = process.cpu_times()
        found.name = name(words)
        found.lasted = time.time() - key[1]
        found.cpu = times.user + times.system
        found.peak_kib = max(found.peak_kib, int(status.partition("VmHWM:")[2].split()[0]))


def name(words: list[str]) -> str:
    """The module, script or program that a command line runs."""
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    return (
        "/".join(Path(script).parts[-3:])
        if script
        else " ".join([Path(words[0]).name, *words[1:]])[:60]
    )


def table(processes: list[Seen]) -> str:
    """One line per process, the largest first."""
    lines = [f"{'process':<60} {'peak MiB':>9} {'CPU s':>8} {'from s':>8} {'for s':>8}"]
    lines += [
        f"{each.name:<60} {each.peak_kib / _MIB:9.0f} {each.cpu:8.1f} {each.began:8.1f} {each.lasted:8.1f}"
        for each in sorted(processes, key=lambda each: -each.peak_kib)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
