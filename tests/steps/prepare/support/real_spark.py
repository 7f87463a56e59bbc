"""Run one of the `*_on_spark.py` scripts on real Spark, in its separate Python environment."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
_PYTHON = REPOSITORY / "build" / "spark-venv" / "bin" / "python"

needed = [
    pytest.mark.spark,
    pytest.mark.skipif(
        shutil.which("java") is None,
        reason="real Spark needs Java 17, and the PATH has no java",
    ),
    pytest.mark.skipif(
        not _PYTHON.exists(), reason="build/spark-venv is not there: run scripts/spark-venv"
    ),
]


def run(script: str, folder: Path, *arguments: str, timeout_seconds: float = 900) -> None:
    """Run a script of this folder in `folder`; it writes `<folder>/found.json`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environment = kept | {
        "PYTHONPATH": str(REPOSITORY),
        "AWS_REGION": "us-east-1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        [str(_PYTHON), str(Path(__file__).with_name(script)), str(folder), *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
