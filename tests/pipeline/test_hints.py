"""A hint can be typed as it is: it names the environment and the state that the user named."""

import ast
import shlex
from pathlib import Path

import pytest

from pipeline import command
from pipeline.local.host import state

ROOT = Path(__file__).resolve().parents[2]
# `eval "$(python -m pipeline.local env …)"` is typed in the shell whose state it means, or after an
# error that no environment is known; `--env` is a word of every example in a --help.
_IN_A_SHELL = "pipeline.local"
_OF_HELP = ("example: ", "usage: ")


def hints() -> list[tuple[str, str]]:
    """Return each text with a command that the code can print, and its place."""
    found = []
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and "python -m pipeline." in node.value
                and id(node) not in documented
            ):
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node.value))
    return found


def test_no_hint_is_written_by_hand_where_environment_or_state_would_be_lost() -> None:
    bare = [
        (place, text)
        for place, text in hints()
        if not text.startswith(_OF_HELP) and "--env" not in text
    ]
    outside = [
        (place, text)
        for place, text in bare
        # `prog` of a parser; the list of commands; a name in a sentence
        if text.strip() != "python -m pipeline."
        and not text.startswith("python -m pipeline.local.")
        and text != "python -m pipeline.local"
        and "`python -m pipeline.audit --json`" not in text
    ]
    by_hand = [place for place, text in outside if _IN_A_SHELL not in text]
    # After the `eval` of the line before, which sets $PIPELINE_ENV
    assert {place.partition(":")[0] for place in by_hand} == {"pipeline/local/__main__.py"}
    local = [place.partition(":")[0] for place, text in outside if _IN_A_SHELL in text]
    assert set(local) == {
        "pipeline/account.py",
        "pipeline/command.py",
        "pipeline/configuration/messages.py",
        "pipeline/local/host/state.py",
    }


def test_a_hint_of_a_state_names_it_unless_the_shell_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(state.VARIABLE, raising=False)
    named = state.State(tmp_path / "my state")
    words = shlex.split(named.typed("up --empty"))
    assert words[-2:] == ["--state", str(tmp_path / "my state")]
    assert state.State(tmp_path / ".local").typed("up") == "python -m pipeline.local up"
    monkeypatch.setenv(state.VARIABLE, str(tmp_path / "my state"))
    assert named.typed("up") == "python -m pipeline.local up"
    assert "--state" in state.State(tmp_path / ".local").typed("down")


def test_a_hint_names_the_environment_unless_the_shell_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIPELINE_ENV", raising=False)
    assert command.line("pipeline.stop", "dev", "x") == "python -m pipeline.stop --env dev x"


def test_a_command_for_another_role_names_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "local")
    monkeypatch.setenv(command.ROLE, "scientist")
    typed = command.line_as("ci", "pipeline.upsert", "local")
    assert typed == 'eval "$(python -m pipeline.local env --as ci)" && python -m pipeline.upsert'
    monkeypatch.setenv(command.ROLE, "ci")
    assert command.line_as("ci", "pipeline.upsert", "local") == "python -m pipeline.upsert"
    assert command.line_as("ci", "pipeline.upsert", "dev") == "python -m pipeline.upsert --env dev"
