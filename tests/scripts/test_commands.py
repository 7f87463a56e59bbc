"""Every script is a module that explains itself: `python -m scripts.NAME --help` works."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SLOW = (
    "boto3 botocore databricks.sdk.core deltalake mlflow numpy pandas polars pyarrow pysail pyspark"
    " requests sagemaker scipy sklearn torch transformers"
)
COMMANDS = [
    "scripts.adapter_bench",
    "scripts.audit_bench",
    "scripts.dry_run_bench",
    "scripts.fetch_filings",
    "scripts.golden",
    "scripts.heading_model",
    "scripts.heading_score",
    "scripts.journey_bench",
    "scripts.peak_memory",
    "scripts.pictures",
    "scripts.prepare_bench",
    "scripts.prepare_bench.broken_input",
    "scripts.prepare_bench.peers",
    "scripts.roofline",
    "scripts.prepare_bench.repeats_left",
    "scripts.sbom",
    "scripts.scaling_page",
    "scripts.small_files",
    "scripts.trace_bench",
    "scripts.training_bench",
    "scripts.worker_bench",
    "pipeline.local.setup.tiny_model",
]


def help_of(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("module", COMMANDS)
def test_the_help_names_the_command(module: str) -> None:
    assert help_of(module).startswith(f"usage: python -m {module} ")


def test_every_module_that_can_be_started_is_listed() -> None:
    started = {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__main__")
        for path in (REPOSITORY / "scripts").rglob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    # Benches start these themselves, each with a job as JSON.
    inner = {
        "scripts.training_bench.measure_one",
        "scripts.prepare_bench.measure_one",
        "scripts.prepare_bench.peers.plain_polars",
        "scripts.prepare_bench.peers.with_datatrove",
    }
    assert started - inner <= set(COMMANDS)


def test_only_shell_scripts_have_no_ending() -> None:
    plain = [
        path for path in (REPOSITORY / "scripts").iterdir() if path.is_file() and not path.suffix
    ]
    assert len(plain) >= 4
    assert {path.read_text(encoding="utf-8").splitlines()[0] for path in plain} == {"#!/bin/sh"}


@pytest.mark.parametrize("module", COMMANDS)
def test_the_help_imports_nothing_slow(module: str) -> None:
    """A help of 0.5 s has no time for these: torch and sklearn take 2 s each, polars 0.3 s."""
    probe = (
        "import atexit, runpy, sys\n"
        f"slow = set({SLOW!r}.split())\n"
        "atexit.register(lambda: print('imported', sorted(slow & set(sys.modules))))\n"
        f"sys.argv[1:] = ['--help']\nrunpy.run_module({module!r}, run_name='__main__')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("imported []\n")
