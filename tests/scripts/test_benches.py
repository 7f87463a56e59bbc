"""The arithmetic of the small benches: medians, shares, ratios and the names of processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scripts import journey_bench, peak_memory
from scripts.peak_memory import ProcessUse
from scripts.prepare_bench import __main__ as prepare_bench
from scripts.prepare_bench.corpus import Shape, filings
from scripts.prepare_bench.peers import compared as peers
from scripts.small_files import measuring as small_files
from scripts.worker_bench import measuring as worker_bench

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


def test_prepare_compares_two_checkouts_by_their_best_runs() -> None:
    def ran(seconds: float, examined: int, digest: int) -> dict[str, Any]:
        numbers = {"wall_seconds": 1.0, "floor_mib": 100, "peak_mib": 200, "examples": 5}
        counted = {"cpu_seconds": seconds, "examined": examined, "written": 42 * examined}
        return numbers | counted | {"rejected": {}, "digests": [digest]}

    runs = {"against": [ran(20.0, 30, 1)], "this": [ran(9.0, 10, 1), ran(5.0, 10, 1)]}
    lines = prepare_bench.table(10, 1_000_000, runs).splitlines()
    assert lines[2].split() == ["CPU", "seconds", "20.00", "5.00", "0.25"]
    assert lines[7].split()[-3:] == ["3.00", "1.00", "0.33"]
    assert lines[-1] == "same rows in both tables"
    runs["this"] = [ran(5.0, 10, 2)]
    assert prepare_bench.table(10, 1_000_000, runs).endswith("THE ROWS OF THE TABLES DIFFER")


def test_the_peers_rows_counts_and_contract_must_be_ours() -> None:
    rows = pl.DataFrame({"example_id": ["a", "b"], "split": ["train", "eval"]})
    found = {"counts": {"examples_train": 1}, "checks": {"overlap": 0.5}}
    again = rows.reverse().select("split", "example_id")
    assert peers.differences(found, dict(found), [(rows, again), (rows, rows)]) == []
    other = rows.with_columns(split=pl.lit("train"))
    assert peers.differences(
        found, found | {"checks": {"overlap": 0.4}}, [(rows, other), (rows, rows.head(1))]
    ) == [
        "THE CHECKS DIFFER",
        "THE ROWS OF examples DIFFER",
        "THE ROWS OF examples_rejected DIFFER",
    ]


def test_prepares_filings_are_as_long_as_real_ones_and_repeat_the_year_before() -> None:
    first, second, *_ = (str(row["item_1a"]) for row in filings(4, seed=1))
    assert 80_000 < len(first) < 100_000
    assert first == str(next(filings(4, seed=1))["item_1a"])
    lines = set(first.splitlines())
    again = [line for line in second.splitlines() if line in lines]
    assert 0.6 < len(again) / len(second.splitlines()) < 0.95
    assert len(str(next(filings(1, seed=1, shape=Shape(4, 300)))["item_1a"])) < 3_000


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


def test_the_workers_memory_is_compared_after_its_first_registrations() -> None:
    warm = [100.0 + 10 * number for number in range(10)]
    rss, cpu = [*warm, *[200.0] * 80, *[216.0] * 10], [0.5 * number for number in range(100)]
    measured = worker_bench.Measured(rss, cpu, 60.0, 0.3, 30.0)
    shown = measured.document()
    assert shown.pop("mib_per_100_in_second_half") == pytest.approx(30.73, abs=0.01)
    assert shown == {
        "registrations": 100,
        "per_minute": 100.0,
        "cpu_seconds_each": 0.5,
        "rss_mib": [190, *[200] * 8, 216],
        "growth_mib": 16.0,
        "idle_share_of_a_core": 0.01,
    }
    assert measured.holds
    measured.rss[-6:] = [217.0] * 6
    assert not measured.holds, "memory grew"
    busy = worker_bench.Measured([1.0] * 100, cpu, 60.0, 0.31, 30.0)
    assert not busy.holds, "idling is not cheap"
