"""List executions: when, who, how each ended, its loss and version, and what was asked of it.

    python -m pipeline.runs --env dev
    python -m pipeline.runs --env dev --who anna --status Rejected --most 5
    python -m pipeline.runs --env dev --json | jq -r '.runs[0].id'

`asked` has the parameters that differ from the defaults of the execution's own definition. A
data scientist's rights are enough. docs/commands.md has the form of --json.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.errors import UsageError
from pipeline.execution.progress import duration, number
from pipeline.inspection import run_summary
from pipeline.inspection.run_summary import Summary

_DEFAULT_MOST = 20
_HEADINGS = (
    "execution", "started (UTC)", "who", "status", "duration", "eval loss", "version", "asked",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    if given.most < 1:
        message = f"expected --most of at least 1, got {given.most}"
        raise UsageError(message)
    configured = config.load(command.environment(given.env))
    client = account.sagemaker(configured)
    found = run_summary.latest(
        configured, client, most=given.most, wanted=lambda run: _wanted(run, given)
    )
    if given.json:
        output(json.dumps({"runs": [run.document() for run in found]}, indent=2))
    elif not found:
        start = command.line("pipeline.run", configured.environment, "--follow")
        note(f"no execution found\n  start one:  {start}")
    else:
        output(command.table(_HEADINGS, [_row(run) for run in found]))
        page = f"--execution {found[0].id}"
        shown = command.line("pipeline.report", configured.environment, page)
        note(f"  the newest as a page:  {shown}")
    return 0


def _wanted(run: Summary, given: Namespace) -> bool:
    return (given.who is None or given.who in run.who) and given.status in (None, run.status)


def _row(run: Summary) -> tuple[str, ...]:
    asked = " ".join(f"{name}={value}" for name, (_, value) in run.ran.differing.items())
    return (
        run.id,
        f"{run.started:%Y-%m-%d %H:%M}",
        run.who,
        run.status,
        duration(run.seconds),
        number(run.result.eval_loss),
        run.result.model_version or "–",
        asked or "the defaults",
    )


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.runs", __doc__ or "", command.EXIT_CODES)
    made.add_argument("--who", metavar="TEXT", help="only of people whose name has this text")
    made.add_argument(
        "--status",
        choices=("Executing", "Stopping", "Stopped", "Failed", "Rejected", "Succeeded"),
        help="only executions with this status",
    )
    made.add_argument(
        "--most",
        type=int,
        default=_DEFAULT_MOST,
        metavar="N",
        help=f"the newest N (default: {_DEFAULT_MOST})",
    )
    made.add_argument("--json", action="store_true", help="print the list as JSON")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
