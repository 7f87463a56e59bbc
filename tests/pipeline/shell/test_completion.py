"""The installed command: it completes words, runs every command, and is quiet when asked to be."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import __main__ as commands
from pipeline import command, runs
from pipeline.deployment import difference
from pipeline.errors import UsageError
from pipeline.execution import progress
from pipeline.execution.outcome import Progress
from pipeline.shell import completion

REPOSITORY = Path(__file__).resolve().parents[3]
BASH = shutil.which("bash")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command as pip installs it: a script that calls the entry point of setup.cfg."""
    text = (REPOSITORY / "setup.cfg").read_text()
    module, _, function = text.partition(f"{completion.PROGRAM} = ")[2].split()[0].partition(":")
    file = tmp_path / completion.PROGRAM
    file.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        f"from {module} import {function}\nsys.exit({function}())\n"
    )
    file.chmod(0o755)
    return file


def ran(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *words], cwd=program.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ru"], {"run", "runs"}),
        (["--v"], {"--version"}),
        (["run", "--fol"], {"--follow"}),
        (["run", "--set", "Lo"], {"LoraRank="}),
        (["run", "--env", "lo"], {"local"}),
        (["local", "inter"], {"interrupt"}),
        (["local", "run", "--ke"], {"--keep"}),
        (["rejected", "--det"], {"--detail"}),
    ],
)
def test_bash_completes_commands_options_and_parameters(
    program: Path, typed: list[str], offered: set[str]
) -> None:
    lines = f"""
eval "$({completion.PROGRAM} --completion bash)"
COMP_WORDS=({completion.PROGRAM} {" ".join(typed)}); COMP_CWORD={len(typed)}
_governed_finetune; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(BASH), "--norc", "-c", lines],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == offered, done.stderr


def test_the_installed_command_runs_each_command_and_names_a_near_one(program: Path) -> None:
    assert ran(program, "--version").stdout.startswith("governed-finetune ")
    helped = ran(program, "runs", "--help")
    assert helped.stdout.startswith("usage: python -m pipeline.runs ")
    near = ran(program, "rnus")
    assert (near.returncode, "did you mean 'runs'?" in near.stderr) == (2, True)
    refused = ran(program, "run", "--env", "lcoal")
    assert (refused.returncode, "did you mean 'local'?" in refused.stderr) == (2, True)


def test_quiet_leaves_results_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    made = command.parser("pipeline.runs", "", "")
    made.parse_args(["--quiet"])
    command.note("a hint")
    with progress.shown(sys.stderr) as show:
        show(Progress("arn", "Executing", ()))
    command.output("a result")

    def wrong(_: object) -> int:
        raise UsageError("an error")

    assert command.ended(wrong) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("a result\n", "UsageError: an error\n")
    command.parser("pipeline.runs", "", "").parse_args([])
    command.note("a hint")
    assert capsys.readouterr().err == "a hint\n"


def test_a_diff_has_colours_on_a_terminal_only_and_not_with_no_color(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert command.coloured(Terminal())
    assert not command.coloured(sys.stdin)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not command.coloured(Terminal())
    text = difference.coloured("--- a\n-old\n+new\n same")
    assert text.splitlines()[1] == "\x1b[31m-old\x1b[0m"
    assert text.splitlines()[3] == " same"


def test_every_command_can_be_run_by_its_name() -> None:
    for name in commands._NAMES:
        assert callable(commands._command(name)), name
    assert runs.__name__ == "pipeline.runs"
