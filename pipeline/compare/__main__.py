"""Compare executions: parameters, data, metrics and samples, next to each other.

    python -m pipeline.compare --env dev 4x7k2m9p1q0z 8d3n5v7b2c1x
    python -m pipeline.compare --env dev A B C --html compare.html
    python -m pipeline.compare --env dev A B --differing --json | jq '.rows[].name'

Rows with ≠ differ. Of the parameters it shows those that differ from each other or from a default;
--all shows every one. Metrics and samples come from Train's manifest and report, which a rejected
execution has too. A data scientist's rights are enough. docs/commands.md has the form of --json.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pipeline import account, command
from pipeline.command import note, output
from pipeline.compare import differences
from pipeline.compare.differences import Pair, Row
from pipeline.configuration import config
from pipeline.errors import UsageError
from pipeline.execution import start
from pipeline.inspection import documents, pages, run_summary
from pipeline.shell import place

_WIDEST = 48  # characters of one value in the table; --json and --html have all of it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    if len(given.executions) < 2 or len(set(given.executions)) < len(given.executions):
        message = f"expected two or more different executions, got {' '.join(given.executions)}"
        raise UsageError(message)
    place.require(given.html)
    configured = config.load(command.environment(given.env))
    client, s3 = account.sagemaker(configured), account.client("s3", configured)
    pairs: list[Pair] = []
    for execution in given.executions:
        run = run_summary.read(configured, client, start.named(configured, client, execution))
        pairs.append((run, documents.read(configured, s3, run)))
    rows = differences.rows(pairs, every_parameter=given.all)
    if given.differing:
        rows = [row for row in rows if row.differs]
    if given.html:
        pages.write(given.html, page(pairs, rows))
        note(f"wrote {given.html}")
    elif given.json:
        found = {"runs": [run.document() for run, _ in pairs]}
        output(json.dumps(found | {"rows": [row.document() for row in rows]}, indent=2))
    else:
        output(_text(pairs, rows))
    for run, found_documents in pairs:
        for text in found_documents.notes:
            note(f"{run.id}: {text}")
    return 0


def page(pairs: Sequence[Pair], rows: Sequence[Row]) -> dict[str, object]:
    """Return the comparison as a page's document."""
    ids = [run.id for run, _ in pairs]
    sections = []
    for group, found in groupby(rows, key=lambda row: row.group):
        several = list(found)
        cells = [("≠" if row.differs else "", row.name, *row.values) for row in several]
        marked = [number for number, row in enumerate(several) if row.differs]
        sections.append(pages.section(group, pages.table(("", "", *ids), cells, marked=marked)))
    return {"title": f"Comparison of {', '.join(ids)}", "lead": [], "sections": sections}


def _text(pairs: Sequence[Pair], rows: Sequence[Row]) -> str:
    cells = [
        ("≠" if row.differs else " ", row.group, row.name, *map(_short, row.values)) for row in rows
    ]
    return command.table((" ", "group", "name", *(run.id for run, _ in pairs)), cells)


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.compare", __doc__ or "", command.EXIT_CODES)
    made.add_argument(
        "executions", metavar="EXECUTION", nargs="+", help="two or more, by id or ARN"
    )
    made.add_argument("--all", action="store_true", help="show every parameter")
    made.add_argument("--differing", action="store_true", help="show the rows that differ only")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the comparison as JSON")
    form.add_argument("--html", type=Path, metavar="FILE", help="write it as one page")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
