"""The tutorial's cells run as a person would run them, and each command in it exists.

The notebook has no outputs, so none can be outdated. `%%bash` cells run in a shell of their own, as
Jupyter runs them; the others in this process, with one namespace.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "docs" / "tutorial.ipynb"
_COMMAND = re.compile(r"python -m ([a-z_.]+)((?:[^\n\\]|\\\n)*)")
_MAGIC = "%%bash\n"


def cells(kind: str) -> list[str]:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == kind]


def commands() -> dict[str, set[str]]:
    """Return each module that a cell runs, with the options that it is given."""
    found: dict[str, set[str]] = {}
    for cell in cells("code"):
        for module, words in _COMMAND.findall(cell):
            options = re.findall(r"(?<=\s)--[a-z-]+", words)
            found.setdefault(module, set()).update(options)
    return found


def test_the_notebook_has_no_outputs_and_no_path_of_a_machine() -> None:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert not re.search(r"/(home|work|Users|tmp)/", NOTEBOOK.read_text(encoding="utf-8"))


def test_the_tutorial_has_every_part() -> None:
    assert {
        *("pipeline.local", "pipeline.upsert", "pipeline.run", "pipeline.report"),
        *("pipeline.compare", "pipeline.runs", "pipeline.audit", "pipeline.trace"),
    } <= commands().keys()
    text = "".join(cells("code"))
    for part in ("LearningRate=", "--reuse", "MaxEvalLoss=0.5", "--filing", "local down"):
        assert part in text


@pytest.mark.parametrize("module", sorted(commands()))
def test_each_command_exists_with_its_options(module: str) -> None:
    words = [module, "env"] if module == "pipeline.local" else [module]
    shown = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        check=True,
    ).stdout
    assert commands()[module] <= set(re.findall(r"--[a-z-]+", shown))


@pytest.mark.long
@pytest.mark.environment
@pytest.mark.timeout(1800)
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # the first cell changes it
    monkeypatch.setenv("PIPELINE_LOCAL_STATE", str(state))
    monkeypatch.setenv("PIPELINE_ENV", "local")
    namespace: dict[str, Any] = {}
    printed = ""
    try:
        for number, cell in enumerate(cells("code")):
            printed += _run(cell, number, namespace)
    finally:
        if state.exists():
            _run(f"{_MAGIC}python -m pipeline.local down", -1, namespace)
    assert not state.exists()
    assert "is not within MaxEvalLoss 0.5" in printed
    assert "did you mean 'LearningRate'" in printed
    assert "CuratedFrom" in printed
    losses = [float(text) for text in re.findall(r"^eval loss +[\d.]+ → ([\d.]+)", printed, re.M)]
    assert losses[1] < losses[0], "the changed rate is the better one, as the title promises"
    assert re.search(r"tuned|samples", printed)


def _run(cell: str, number: int, namespace: dict[str, Any]) -> str:
    """Run one cell and return what it printed."""
    if not cell.startswith(_MAGIC):
        exec(compile(cell, f"cell {number}", "exec"), namespace)  # noqa: S102 - our own notebook
        return ""
    ended = subprocess.run(
        ["bash"],
        input=cell.removeprefix(_MAGIC),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, f"cell {number}: {ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout + ended.stderr
