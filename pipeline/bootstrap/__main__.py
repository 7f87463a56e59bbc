"""Make an environment of two accounts, AWS and Databricks: plan every change, or carry it out.

    python -m pipeline.bootstrap --env dev --plan           # print every change; change nothing
    python -m pipeline.bootstrap --env dev                  # make what is missing
    python -m pipeline.local up --empty && python -m pipeline.bootstrap --env local

An administrator of both runs it: AWS credentials, and the Databricks SDK's environment variables
with DATABRICKS_ACCOUNT_ID. The layers of conf/infrastructure become stacks, in order, by change
sets; their parameters are those of conf/ENV.yaml and conf/infrastructure/parameters/ENV.yaml. Then
come principals, storage, catalog, grants (pipeline/rights.py), base model, raw table, experiment.
Credentials of another account than conf has, and a placeholder as account or host, are refused.

A second run changes nothing. A refusal stops it, with whom to ask; the next run continues there.
`!` marks what a person does. docs/decisions/050-bootstrap.md has the reasons.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import command
from pipeline.bootstrap.change import Change, carried_out
from pipeline.command import note, output
from pipeline.configuration.fields import LOCAL

_WORDS = {"+": "to make", "~": "to change", "-": "to remove", "!": "for a person"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 3 if a plan has changes, 1 if something is left for a person."""
    arguments = _parser().parse_args(argv)
    environment = command.environment(arguments.env)
    command.begin(f"comparing the environment {environment} with its templates")
    site = _site(environment, arguments)
    from pipeline.bootstrap import order

    found: list[Change] = []

    def show(change: Change) -> None:
        found.append(change)
        if not arguments.json:
            output(change.text())

    try:
        carried_out(order.parts(site), plan=arguments.plan, show=show)
    finally:  # after a refusal too: what is made stays
        if arguments.json:
            output(_json(found))
    counted: Counter[str] = Counter(each.sign for each in found)
    words = ", ".join(f"{counted[sign]} {word}" for sign, word in _WORDS.items() if counted[sign])
    (note if arguments.json else output)(words or "no changes")
    if arguments.plan:
        return 3 if found else 0
    return 1 if counted["!"] else 0


def _json(found: Sequence[Change]) -> str:
    shown = [
        {"sign": each.sign, "what": each.what, "details": each.details, "stops": each.stops}
        for each in found
    ]
    return json.dumps(shown, indent=2)


def _site(environment: str, arguments: argparse.Namespace) -> Any:
    if environment == LOCAL:
        from pipeline.bootstrap import embedded
        from pipeline.local.synthetic import corpus

        return embedded.site(arguments.state, _filings(arguments.filings) or corpus.small())
    from pipeline.bootstrap import cloud

    return cloud.site(
        environment, _filings(arguments.filings), remove_secrets=arguments.remove_secrets
    )


def _filings(paths: Sequence[Path]) -> Any:
    from pipeline.local.setup import filings

    return filings.Filings(filings.read(paths), asked_for=True) if paths else None


def _parser() -> argparse.ArgumentParser:
    example = "example:    python -m pipeline.bootstrap --env dev --plan --json | jq '.[].what'"
    parser = command.parser("pipeline.bootstrap", __doc__ or "", f"{command.EXIT_CODES}\n{example}")
    parser.add_argument(
        "--plan", action="store_true", help="print every change and make none; exit 3 if any"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the changes as JSON, after a refusal too",
    )
    parser.add_argument(
        "--filings",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="filings for a raw table that does not exist, as of `pipeline.local run`",
    )
    parser.add_argument(
        "--remove-secrets",
        action="store_true",
        help="with databricks.identity federated: remove the principals' secrets, which running "
        "jobs and a worker of before may still use",
    )
    parser.add_argument(
        "--state", metavar="DIR", help="of `local`: its state folder (default: .local)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
