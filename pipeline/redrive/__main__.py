"""Send the messages of the dead-letter queue to the register worker again.

    python -m pipeline.redrive --env dev
    python -m pipeline.redrive --env dev --execution 4x7k2m9q0abc

Only messages that SageMaker confirms are sent again, one line for each. The others stay, and a
person decides. It is the part of `pipeline.reconcile --fix` that concerns this queue, with the same
role `reconciler`.
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline import command
from pipeline.configuration import config
from pipeline.reconcile.__main__ import arguments

_EXIT_CODES = "exit codes: 0 none is left · 1 some are left · 2 could not look, or bad usage"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    command.require_role(configured.environment, "reconciler")
    words = ["--redrive", "--fix", "--wait-seconds=0"]
    words += [f"--execution={given.execution}"] if given.execution else []
    words += ["--json"] if given.json else []
    return command.step(
        "steps.reconcile",
        [*arguments(configured), *words],
        configured.logging.variables,
        doing="comparing the dead letters with their executions",
    )


def _parser() -> argparse.ArgumentParser:
    made = command.parser("pipeline.redrive", __doc__ or "", _EXIT_CODES)
    made.add_argument("--execution", metavar="ID", help="one execution: its 12 characters")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
