"""List the project's commands, each with one line.

    python -m pipeline                # the list
    python -m pipeline --version      # this checkout's commit
    python -m pipeline.run --help     # one of them

Each command is a module. Its --help imports no SDK, so it answers at once.
"""

import argparse
import ast
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import command
from pipeline.command import output

_HERE = Path(__file__).resolve().parent
# In the order in which a person meets them.
GROUPS = {
    "on this machine": ("local",),
    "train": ("run", "stop", "retry", "cost"),
    "look": ("runs", "logs", "report", "compare", "rejected"),
    "answer for it": ("trace", "audit", "approve"),
    "an account": ("bootstrap", "doctor", "cleanup"),
    "deploy and operate": ("upsert", "mirror", "reconcile", "redrive"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description=__doc__,
        epilog=command.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print this checkout's commit")
    if parser.parse_args(argv).version:
        from pipeline.deployment import provenance

        output(f"governed-finetune {provenance.commit()}")
        return 0
    for group, names in GROUPS.items():
        output(group)
        for name in names:
            output(f"  python -m pipeline.{name:<16} {summary(name)}")
    output("\neach has --help; docs/commands.md describes how to look at executions")
    return 0


def summary(name: str) -> str:
    """Return the first line of a command's docstring, without importing it."""
    module = _HERE / f"{name}.py"
    file = module if module.is_file() else _HERE / name / "__main__.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(command.ended(main))
