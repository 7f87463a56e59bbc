"""Run a command and print the peak memory, CPU time, start and duration of each of its processes.

    python -m scripts.peak_memory -- .venv/bin/python -m pipeline.local run --set MaxSteps=20

Peak memory is the kernel's high-water mark of resident memory (VmHWM in /proc, so Linux only).
Pages that processes share count in each of them. Processes are sampled five times a second, so one
that lives for a shorter time may be missing. The exit code is the command's.
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
_KIB_PER_MIB = 1024


@dataclass
class ProcessUse:
    """What one process had used when it was last sampled."""

    name: str
    began: float  # seconds after the command's start
    lasted: float = 0.0  # seconds
    cpu: float = 0.0  # seconds
    peak_kib: int = 0


def main() -> int:
    """Run the command, sample its processes, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.peak_memory", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    words = parser.parse_args().command
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        parser.error("expected a command after --, got none")
    # A pid may be used again, so the time of creation is part of the key.
    sampled: dict[tuple[int, float], ProcessUse] = {}
    began = time.time()
    command = psutil.Popen(words)
    while True:
        with suppress(psutil.NoSuchProcess):
            for process in (command, *command.children(recursive=True)):
                sample(process, sampled, began)
        try:
            code = command.wait(_EVERY_SECONDS)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
        print(table(list(sampled.values())))
        return int(code)


def sample(
    process: psutil.Process, sampled: dict[tuple[int, float], ProcessUse], began: float
) -> None:
    """Record what this process has used so far."""
    with suppress(psutil.Error, OSError, ValueError):
        key = (process.pid, process.create_time())
        status = Path(f"/proc/{process.pid}/status").read_text()
        words = process.cmdline()
        if "VmHWM:" not in status or not words:
            return  # it has ended, or has not yet started its program
        use = sampled.setdefault(key, ProcessUse("", key[1] - began))
        times = process.cpu_times()
        use.name = name(words)
        use.lasted = time.time() - key[1]
        use.cpu = times.user + times.system
        use.peak_kib = max(use.peak_kib, int(status.partition("VmHWM:")[2].split()[0]))


def name(words: list[str]) -> str:
    """Return the module, script or program that a command line runs."""
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    if script is not None:
        return "/".join(Path(script).parts[-3:])
    return " ".join([Path(words[0]).name, *words[1:]])[:60]


def table(processes: list[ProcessUse]) -> str:
    """Return one line for each process, the largest peak first."""
    lines = [f"{'process':<60} {'peak MiB':>9} {'CPU s':>8} {'from s':>8} {'for s':>8}"]
    for use in sorted(processes, key=lambda use: -use.peak_kib):
        numbers = f"{use.cpu:8.1f} {use.began:8.1f} {use.lasted:8.1f}"
        lines.append(f"{use.name:<60} {use.peak_kib / _KIB_PER_MIB:9.0f} {numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
