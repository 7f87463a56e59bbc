"""Measure `upsert --dry-run` against the bare import of the SageMaker modules that it uses.

    python -m scripts.dry_run_bench --repeat 5

Three commands run in turn, `--repeat` times each: the bare import, a dry run with an empty cache,
and a dry run that repeats it. The table has the median CPU seconds (user and system, all processes)
of each, and its ratio to the bare import of the same turn. CPU time is steadier than wall time on a
machine that others use too. Targets: first dry run at most 1.15, repeated one at most 0.5.
"""

import argparse
import ast
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_VARIABLES = _ROOT / "tests" / "golden" / "local.env"
_SDK = _ROOT / "pipeline" / "graph" / "sdk.py"
# The process state in which the SDK imports without a region and without messages.
_QUIET = """
import logging, os, warnings
os.environ.update(AWS_DEFAULT_REGION="us-east-1", SAGEMAKER_VALIDATE_ROLE="false")
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")
"""
_DRY_RUN = ("-m", "pipeline.upsert", "--env", "local", "--dry-run")


def bare_import() -> str:
    """Return a program with the imports of sagemaker in pipeline/graph/sdk.py, and nothing else."""
    statements = ast.walk(ast.parse(_SDK.read_text(encoding="utf-8")))
    imports = [node for node in statements if isinstance(node, ast.ImportFrom)]
    lines = [ast.unparse(node) for node in imports if (node.module or "").startswith("sagemaker")]
    return "\n".join([_QUIET, *lines])


def cpu_seconds(words: tuple[str, ...], cache: str) -> float:
    """Return the CPU time of one Python command, in seconds.

    Raises:
        subprocess.CalledProcessError: the command failed; its stderr is in the exception.
    """
    lines = _VARIABLES.read_text(encoding="utf-8").splitlines()
    environ = os.environ | dict(line.split("=", 1) for line in lines) | {"XDG_CACHE_HOME": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], cwd=_ROOT, env=environ, capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def turn() -> tuple[float, float, float]:
    """Return the CPU seconds of the bare import, the first dry run and the repeated one."""
    with tempfile.TemporaryDirectory() as cache:
        return (
            cpu_seconds(("-c", bare_import()), cache),
            cpu_seconds(_DRY_RUN, cache),
            cpu_seconds(_DRY_RUN, cache),
        )


def main() -> int:
    """Run the turns and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.dry_run_bench", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--repeat", type=int, default=5, help="turns (default: 5)")
    repeat = parser.parse_args().repeat
    if repeat < 1:
        parser.error("--repeat: expected at least 1")
    turns = [turn() for _ in range(repeat)]
    print(f"{'':<18}  CPU s  ratio (median of {len(turns)})")
    for column, name in enumerate(("bare import", "first dry run", "repeated dry run")):
        seconds = statistics.median(each[column] for each in turns)
        ratio = statistics.median(each[column] / each[0] for each in turns)
        print(f"{name:<18}  {seconds:5.2f}  {ratio:5.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
