"""Make one page of an execution: what was asked, what happened, and what came of it.

    python -m pipeline.report --env dev --execution 4x7k2m9p1q0z --open
    python -m pipeline.report --env dev --execution 4x7k2m9p1q0z --out report.html
    python -m pipeline.report --env dev --execution 4x7k2m9p1q0z --audit audit.json
    python -m pipeline.report --env dev --execution 4x7k2m9p1q0z --registered

The page is one file without scripts; nothing is loaded from elsewhere. It shows executions that
run, failed or were rejected too. --registered takes the page that Register wrote next to the
record. A data scientist's rights are enough. The audit is an auditor's:
--audit takes what `python -m pipeline.audit --json` printed. docs/commands.md has each section's
source.
"""

import json
import os
import subprocess
import sys
import webbrowser
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import account, command, trace
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.errors import UsageError
from pipeline.execution import start
from pipeline.inspection import documents, job_logs, pages, run_summary, training_log
from pipeline.inspection.documents import Document
from pipeline.inspection.run_summary import Summary
from pipeline.inspection.training_log import Curve
from pipeline.report import bill, page
from pipeline.shell import place


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    place.require(given.out)
    audited = _audited(given.audit) if given.audit else None
    configured = config.load(command.environment(given.env))
    command.begin(f"reading execution {given.execution}")
    client = account.sagemaker(configured)
    arn = start.named(configured, client, given.execution)
    path = given.out or Path(f"report-{arn.rsplit('/', 1)[-1]}.html")
    if given.registered:
        stored = documents.registered_page(configured, account.client("s3", configured), arn)
        pages.save(path, stored)
    else:
        run = run_summary.read(configured, client, arn)
        pages.write(path, page.composed(configured, gathered(configured, run, audited)))
    output(str(path))
    if given.open and not webbrowser.open(path.resolve().as_uri()):
        note("no browser could be started; open the file yourself")
    return 0


def gathered(
    configured: Config, run: Summary, audited: list[Mapping[str, Any]] | None
) -> page.Evidence:
    """Read all that the page shows of an execution.

    Raises:
        Refused: AWS refused.
    """
    found = documents.read(configured, account.client("s3", configured), run)
    traced, notes = _traced(configured, run)
    logged = Curve() if found.report else _logged(configured, run)
    billed, unknown = bill.read(configured, run)
    shown = page.Evidence(run, found, logged, traced=traced, audited=audited)
    return replace(shown, notes=(*notes, *unknown), bill=billed)


def _logged(configured: Config, run: Summary) -> Curve:
    train = [step for step in run.steps if ":training-job/" in step.job]
    if not train:
        return Curve()
    lines = job_logs.lines(configured, account.client("logs", configured), train[-1])
    return training_log.curve(line.text for line in lines)


def _traced(configured: Config, run: Summary) -> tuple[Document | None, tuple[str, ...]]:
    """Return trace's answer. An execution without evidence has no answer, which is not a fault."""
    model = f"{run.result.model_name}@{run.result.model_version}"  # its aliases belong to it
    question = f"--model={model}" if run.result.model_version else f"--execution={run.id}"
    words = [*trace.settings(configured), question, "--json", "--drawing"]
    ended = subprocess.run(
        [sys.executable, "-m", "steps.trace", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | configured.logging.variables,
    )
    if not ended.stdout:
        begun = any(step.name in ("Train", "Register") for step in run.steps)
        return None, (f"the lineage: {ended.stderr.strip()}",) if begun else ()
    found: Document = json.loads(ended.stdout)
    unreadable = found.get("unreadable") or ()
    return found, tuple(f"the lineage: {each} cannot be read" for each in unreadable)


def _audited(path: Path) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"--audit {path} cannot be read: {error}"
        raise UsageError(message) from error
    lines = found.get("findings") if isinstance(found, dict) else found
    names = {"outcome", "code", "expected", "found"}
    if not isinstance(lines, list) or not all(
        isinstance(each, dict) and names <= each.keys() for each in lines
    ):
        message = f"--audit {path}: expected what `python -m pipeline.audit --json` printed"
        raise UsageError(message)
    return lines


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.report", __doc__ or "", command.EXIT_CODES)
    made.add_argument("--execution", required=True, metavar="ID", help="an execution's id or ARN")
    made.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (default: report-<id>.html here)"
    )
    made.add_argument("--open", action="store_true", help="open the page in a browser")
    made.add_argument(
        "--registered", action="store_true", help="the page that Register wrote, byte for byte"
    )
    made.add_argument("--audit", type=Path, metavar="FILE", help="an audit's lines as JSON")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
