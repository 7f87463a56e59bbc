"""Every command is listed, explains itself with its exit codes, and imports no SDK to do so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import command
from pipeline.__main__ import GROUPS, main, summary

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = [name for names in GROUPS.values() for name in names]
VERBS = ("run", "up", "down", "status", "env", "interrupt")
HEAVY = "boto3 botocore databricks deltalake jinja2 mlflow pyarrow requests sagemaker torch"
_PROBE = """
import runpy, sys
module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    assert not ended.code, ended.code
found = [name for name in {heavy!r}.split() if name in sys.modules]
assert not found, f"{{module}} --help imported {{found}}"
"""


def helped(module: str, *words: str) -> str:
    probe = [sys.executable, "-c", _PROBE.format(heavy=HEAVY), module, *words, "--help"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(
        probe, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_help_names_the_command_and_its_exit_codes_and_imports_no_sdk(name: str) -> None:
    text = helped(f"pipeline.{name}")
    assert text.startswith(f"usage: python -m pipeline.{name} ")
    assert "exit codes: " in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_of_the_embedded_environment_has_exit_codes(verb: str) -> None:
    assert "exit codes: " in helped("pipeline.local", verb)


def test_every_command_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    root = REPOSITORY / "pipeline"
    files = [*root.glob("*.py"), *root.glob("*/__main__.py")]
    runnable = {
        (file.parent.name if file.name == "__main__.py" else file.stem)
        for file in files
        if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
    } - {"pipeline"}
    assert runnable == set(NAMES)
    for name in NAMES:
        assert f"python -m pipeline.{name} " in listed
        assert len(summary(name)) > 20


def test_the_version_is_the_commit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("governed-finetune ")


def test_a_command_to_type_names_the_environment_unless_the_shell_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "local")
    assert command.line("pipeline.runs", "local") == "python -m pipeline.runs"
    assert command.line("pipeline.stop", "dev", "x") == "python -m pipeline.stop --env dev x"
    monkeypatch.delenv("PIPELINE_ENV")
    assert command.line("pipeline.runs", "local") == "python -m pipeline.runs --env local"


def test_a_table_has_aligned_columns_and_no_space_at_the_end() -> None:
    text = command.table(("a", "b"), [("long", "x"), ("", "yy")])
    assert text.splitlines() == ["a     b", "long  x", "      yy"]
