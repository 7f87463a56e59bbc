"""Show which rows of the raw table an execution's Prepare rejected, and why.

    python -m pipeline.rejected --env dev 4x7k2m9p1q0z
    python -m pipeline.rejected --env dev 4x7k2m9p1q0z --reason near_duplicate --most 100
    python -m pipeline.rejected --env dev 4x7k2m9p1q0z --as auditor --detail --json

The numbers are from Prepare's manifest, which a data scientist may read. The rows are in the table
CURATED_rejected, and the workspace decides who reads it: this command needs SELECT and EXTERNAL USE
SCHEMA, as `auditor` has them. A scientist has SELECT, so the statement that is printed shows the
same rows in the workspace. Only --detail prints text of a filing: the heading of a risk factor.
docs/data.md describes each reason.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.configuration.combinations import REJECTED
from pipeline.configuration.config import Config
from pipeline.errors import UsageError, did_you_mean
from pipeline.execution import ran_with, reuse, start
from pipeline.inspection import documents

_ROLES = ("scientist", "auditor")
_DEFAULT_MOST = 20
_COLUMNS = ("reason", "source_filing", "company", "filing_type", "filing_date")
_HEADINGS = ("reason", "filing", "company", "form", "date")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    if given.most < 0:
        message = f"expected --most of at least 0, got {given.most}"
        raise UsageError(message)
    configured = config.load(command.environment(given.env))
    command.require_role(configured.environment, given.role)
    client = account.sagemaker(configured)
    arn = start.named(configured, client, given.execution)
    values = ran_with.read(configured, client, arn).values
    origin = reuse.origin_in(values, arn)
    prepared = documents.prepared(configured, account.client("s3", configured), origin)
    reasons = prepared["counts"]["rejected_by_reason"] if prepared else None
    if reasons is not None and given.reason and given.reason not in reasons:
        raise UsageError(_no_such_reason(given.reason, reasons))
    if reasons is not None and not given.json:
        output(_counted(reasons))
    code, text = command.answer(
        "steps.rejected",
        _words(configured, given, values, origin),
        configured.logging.variables,
        doing="reading the rejected rows",
    )
    found = json.loads(text) if text else {}
    denied = found.pop("denied", None) is not None  # another failure would meet the auditor too
    if given.json:
        output(json.dumps({"execution": arn, "prepared_by": origin, "reasons": reasons, **found}))
    else:
        if reasons is None and found:  # Prepare failed after it had written the rejected rows
            output(_counted(found["reasons"]))
        _show(given, found)
    note(_afterwards(configured, given, values, origin, denied=denied))
    return code


def _words(
    configured: Config, given: Namespace, values: Mapping[str, str], origin: str
) -> list[str]:
    evidence = configured.evidence
    secrets = {"scientist": evidence.scientist_secret_id, "auditor": evidence.auditor_secret_id}
    settings = {
        "--curated-table": values["CuratedTable"],
        "--execution-id": origin,
        "--databricks-host": configured.databricks.host,
        "--databricks-secret-id": secrets[given.role],
        "--region": configured.aws.region,
        "--reason": given.reason,
        "--most": str(given.most),
    }
    # One word for each, so that a value that begins with a dash stays a value.
    words = [f"{name}={value}" for name, value in settings.items() if value]
    return [*words, "--detail"] if given.detail else words


def _no_such_reason(given: str, reasons: Mapping[str, int]) -> str:
    return f"no row was rejected for {given!r}{did_you_mean(given, sorted(reasons))}"


def _counted(reasons: Mapping[str, int]) -> str:
    rows = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    shown = [(name, f"{number:,}") for name, number in rows]
    return command.table(("reason", "rows"), shown) if shown else "no row was rejected"


def _show(given: Namespace, found: Mapping[str, Any]) -> None:
    if found.get("rows"):
        extra = ("detail",) if given.detail else ()
        shown = [[str(row[name] or "–") for name in (*_COLUMNS, *extra)] for row in found["rows"]]
        output("")
        output(command.table((*_HEADINGS, *extra), shown))


def _afterwards(
    configured: Config,
    given: Namespace,
    values: Mapping[str, str],
    origin: str,
    *,
    denied: bool,
) -> str:
    """Return what shows the rows, or more of them."""
    table = f"{values['CuratedTable']}{REJECTED}"
    statement = (
        f"SELECT {', '.join(_COLUMNS)} FROM {table} "  # noqa: S608 - a person reads and runs it
        f"WHERE execution_id = '{origin}'"
    )
    lines = [f"  in the workspace:  {statement}"]
    if denied and given.role == "scientist":
        words = f"{given.execution} --as auditor"
        typed = command.line_as("auditor", "pipeline.rejected", configured.environment, words)
        lines.append(f"  as an auditor:     {typed}")
    return "\n".join(lines)


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.rejected", __doc__ or "", command.EXIT_CODES)
    made.add_argument("execution", metavar="EXECUTION", help="an execution, by id or ARN")
    made.add_argument("--reason", default="", metavar="NAME", help="only rows with this reason")
    made.add_argument(
        "--most",
        type=int,
        default=_DEFAULT_MOST,
        metavar="N",
        help=f"rows to print (default: {_DEFAULT_MOST})",
    )
    made.add_argument(
        "--detail", action="store_true", help="with each row's detail, which quotes a heading"
    )
    made.add_argument(
        "--as",
        dest="role",
        choices=_ROLES,
        default=command.shell_role(_ROLES),
        help="whose Databricks secret is read (default: scientist, "
        "or the role of a shell of the embedded environment)",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
