"""The driver on Sail ends with its entry point's exit code, and after all that the job left behind.

It frees no object at its end, so what Python does there is done by name.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.aws.emr_serverless import driver_run

_LEFT = """
import atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

def late():
    time.sleep(0.3)
    sys.stdout.write("thread\\n")

threading.Thread(target=late).start()
pool = ThreadPoolExecutor(1)  # never shut down, as Spark Connect's own
pool.submit(late)
atexit.register(sys.stdout.write, "atexit\\n")
sys.stderr.write("last words")
"""


@pytest.mark.parametrize(
    ("end", "code", "message"),
    [
        ("", 0, "last words"),
        ("sys.exit()", 0, "last words"),
        ("sys.exit(3)", 3, "last words"),
        ("sys.exit('refused')", 1, "refused\n"),
        ("raise ValueError('defect')", 1, "ValueError: defect\n"),
    ],
)
def test_the_exit_code_and_all_output_are_those_of_the_entry_point(
    tmp_path: Path, end: str, code: int, message: str
) -> None:
    entry = tmp_path / "entry.py"
    entry.write_text(f"{_LEFT}\n{end}\n")
    done = subprocess.run(
        [sys.executable, str(driver_run._SAIL_DRIVER), str(entry)],
        env={
            **os.environ,
            **driver_run.SAIL_ENVIRONMENT,
            "TMPDIR": str(tmp_path),
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ["thread", "thread", "atexit"]
    assert done.stderr.endswith(message)
