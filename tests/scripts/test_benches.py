"""The arithmetic of the small benches: medians, shares, ratios and the names of processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import journey_bench, peak_memory, small_files
from scripts.peak_memory import ProcessUse

REPOSITORY = Path(__file__).parents[2]


def test_the_journeys_table_has_medians_and_shares_of_the_whole() -> None:
    runs = [
        {"execution": execution, "whole": whole}
        for execution, whole in ((20.0, 40.0), (30.0, 50.0), (90.0, 100.0))
    ]
    lines = [line.split() for line in journey_bench.table(runs).splitlines()]
    assert lines[0] == ["execution", "30.0", "s", "60.0%", "(20.0", "…", "90.0)"]
    assert lines[1] == ["whole", "50.0", "s", "100.0%", "(40.0", "…", "100.0)"]


def test_small_files_compares_the_least_times() -> None:
    lines = small_files.summary(620, [2.0, 3.0], [9.0, 5.0]).splitlines()
    assert [line.split()[-4:-3] for line in lines[:2]] == [["2.00"], ["5.00"]]
    assert lines[2].split() == ["ratio", "2.50"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/python", "-m", "pipeline.local", "run"], "pipeline.local"),
        (["python", "/srv/a/steps/train/__main__.py", "--x"], "steps/train/__main__.py"),
        (["/bin/sh", "-c", "true"], "sh -c true"),
    ],
)
def test_a_process_is_named_by_what_it_runs(words: list[str], name: str) -> None:
    assert peak_memory.name(words) == name


def test_the_largest_process_comes_first() -> None:
    lines = peak_memory.table(
        [ProcessUse("small", 0, peak_kib=1024), ProcessUse("large", 1, peak_kib=3072)]
    ).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["large", "3"], ["small", "1"]]


def test_peak_memory_lists_a_child_and_returns_the_commands_exit_code() -> None:
    child = "import time; held = bytearray(50_000_000); time.sleep(1)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); sys.exit(3)"
    )
    command = [sys.executable, "-m", "scripts.peak_memory", "--", sys.executable, "-c", parent]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    first, second = (line for line in done.stdout.splitlines()[1:])
    assert child[:20] in first
    assert parent[:20] in second
