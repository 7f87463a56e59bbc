"""List the project's commands, each with one line.

    python -m pipeline                # the list
    python -m pipeline --version      # this checkout's commit
    python -m pipeline.run --help     # one of them
    python -m pipeline run --help     # the same
    governed-finetune run --help      # the same, after `pip install --no-deps --editable .`
    eval "$(governed-finetune --completion bash)"

Each command is a module. Its --help imports no SDK, so it answers at once.
"""

import argparse
import ast
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline import command
from pipeline.command import output
from pipeline.errors import UsageError, did_you_mean
from pipeline.shell import completion

_HERE = Path(__file__).resolve().parent
# In the order in which a person meets them.
GROUPS = {
    "on this machine": ("local",),
    "train": ("run", "stop", "retry", "cost"),
    "look": ("runs", "logs", "report", "compare", "rejected"),
    "answer for it": ("trace", "audit", "approve"),
    "an account": ("bootstrap", "doctor", "rotate", "cleanup"),
    "deploy and operate": ("upsert", "mirror", "reconcile", "redrive"),
}


_NAMES = [name for names in GROUPS.values() for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in _NAMES:
        return _command(words[0])(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description=__doc__,
        epilog=command.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print this checkout's commit")
    parser.add_argument("--completion", choices=completion.SHELLS, help="print its script")
    parser.add_argument("command", nargs="?", help="one of them, with its options after it")
    given = parser.parse_args(words)
    if given.command:
        close = did_you_mean(given.command, _NAMES)
        raise UsageError(f"there is no command {given.command!r}{close}")
    if given.completion:
        output(_completion(given.completion))
        return 0
    if given.version:
        from pipeline.deployment import provenance

        output(f"governed-finetune {provenance.commit()}")
        return 0
    for group, names in GROUPS.items():
        output(group)
        for name in names:
            output(f"  python -m pipeline.{name:<16} {summary(name)}")
    output("\neach has --help; docs/commands.md describes how to look at executions")
    return 0


def script() -> int:
    """Run the installed command `governed-finetune`."""
    return command.ended(main)


def _command(name: str) -> Callable[[Sequence[str]], int]:
    module = f"pipeline.{name}"
    if (_HERE / name).is_dir():
        module += ".__main__"
    found: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    return found


def _completion(shell: str) -> str:
    from pipeline.configuration.parameters import TABLE
    from pipeline.local.command_line import VERBS

    return completion.script(
        shell,
        commands=_NAMES,
        verbs=VERBS,
        parameters=[parameter.name for parameter in TABLE],
        environments=sorted(file.stem for file in (_HERE.parent / "conf").glob("*.yaml")),
    )


def summary(name: str) -> str:
    """Return the first line of a command's docstring, without importing it."""
    module = _HERE / f"{name}.py"
    file = module if module.is_file() else _HERE / name / "__main__.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(command.ended(main))
