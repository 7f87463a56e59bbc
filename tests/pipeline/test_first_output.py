"""A command's first line does not wait for an SDK: it is there before one is imported.

The imports are counted, not the time: `import databricks.sdk` takes 0.9 s, sagemaker 3 s, mlflow
2 s. boto3 takes 0.3 s, and a list of executions is not known without it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import GROUPS

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW = "databricks deltalake jinja2 mlflow pandas pyarrow requests sagemaker torch"
MODEL, EXECUTION = "edgar.models.analyst@1", "4x7k2m9p1q0z"
WORDS: dict[str, tuple[str, ...]] = {
    "local": ("status",),
    "run": ("--plan",),
    "stop": (EXECUTION,),
    "retry": (EXECUTION,),
    "cost": ("--filings", "100"),
    "runs": (),
    "logs": (EXECUTION,),
    "report": ("--execution", EXECUTION),
    "compare": (EXECUTION, "abcdefghijkl"),
    "rejected": (EXECUTION,),
    "trace": ("--model", MODEL),
    "audit": (),
    "approve": ("--model", MODEL, "--alias", "champion", "--reason", "it is better"),
    "bootstrap": ("--plan",),
    "doctor": (),
    "rotate": (),
    "cleanup": ("--plan",),
    "upsert": ("--dry-run",),
    "mirror": ("--folder", "."),
    "reconcile": (),
    "redrive": (),
}
_PROBE = """
import os, runpy, sys
class First:
    def write(self, text):
        found = [name for name in {slow!r}.split() if name in sys.modules]
        os.write(1, (" ".join(found) + "|" + text).encode())
        os._exit(0)
    def flush(self): pass
    def isatty(self): return False
sys.stdout = sys.stderr = First()
module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def test_every_command_is_here() -> None:
    assert WORDS.keys() == {name for names in GROUPS.values() for name in names}


@pytest.mark.parametrize("name", WORDS)
def test_the_first_line_comes_before_any_slow_import(name: str, tmp_path: Path) -> None:
    """Nothing answers: what needs an answer first has a refusal as its first line."""
    local = (REPOSITORY / "tests" / "golden" / "local.env").read_text().split()
    environ = dict(line.split("=", 1) for line in local) | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "PIPELINE_ENV": "local",
        "PIPELINE_LOCAL_STATE": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_MAX_ATTEMPTS": "1",
    }
    probe = [sys.executable, "-c", _PROBE.format(slow=SLOW), f"pipeline.{name}", *WORDS[name]]
    ended = subprocess.run(
        probe, cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    imported, _, text = ended.stdout.partition("|")
    assert text, ended.stderr
    assert imported == "", f"{name} printed {text!r} after importing {imported}"
