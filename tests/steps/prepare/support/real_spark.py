"""Run the `*_on_spark.py` scripts on real Spark, in its separate Python environment.

with started(folder) as process:
    process.run("parity_on_spark", folder, "-")     # it writes <folder>/found.json
"""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
_PYTHON = REPOSITORY / "build" / "spark-venv" / "bin" / "python"
_PROGRAM = Path(__file__).parents[1] / "sessions" / "spark_process.py"
_KEPT = ("PATH", "HOME", "JAVA_HOME")
_VARIABLES = {
    "PYTHONPATH": str(REPOSITORY),
    "AWS_REGION": "us-east-1",
    "SPARK_LOCAL_IP": "127.0.0.1",
}
_END_SECONDS = 60

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


@dataclass
class RealSpark:
    """The process in which scripts run (sessions/spark_process.py): started by the first one."""

    log: Path
    _process: subprocess.Popen[str] | None = None

    def run(self, script: str, folder: Path, *arguments: str) -> None:
        """Run a script of this folder in `folder`; pytest's time-out bounds it."""
        self._process = process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # the answer is missing too
            process.stdin.write(json.dumps([script, str(folder), *arguments]) + "\n")
            process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"the process has ended:\n{self.log.read_text()[-4000:]}"
        assert json.loads(answer)["error"] is None, json.loads(answer)["error"]

    def end(self) -> None:
        """End the process and its JVM; a later script starts another one."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def _started(self) -> subprocess.Popen[str]:
        """Start the process; its JVM starts with the first script."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with self.log.open("a") as stderr:
            return subprocess.Popen(
                [str(_PYTHON), str(_PROGRAM)],
                env=kept | _VARIABLES,
                cwd=self.log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
