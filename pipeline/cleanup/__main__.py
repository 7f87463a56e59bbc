"""Remove what bootstrap and runs made, in a safe order; never evidence under retention.

    python -m pipeline.cleanup --env dev --plan     # what would go, and what stays, with the reason
    python -m pipeline.cleanup --env dev --yes dev  # remove it

It takes the identities of `pipeline.bootstrap`. Principals, the pipeline and the layers `watch`,
`compute` and `network` go, then catalog entries and storage. What lacks bootstrap's mark or tags of
this environment stays, as does what holds something of others or is in use. The evidence is locked:
its bucket, and the layers `foundation` and `identity` that protect it, stay. So do the tables and
the model that evidence names, unless --catalog is given, and always their files. Bootstrap then
makes the rest again. A second run removes nothing more.
docs/decisions/051-cleanup.md has the reasons.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline import command
from pipeline.command import note, output
from pipeline.configuration.fields import LOCAL
from pipeline.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 3 if a plan removes something."""
    arguments = _parser().parse_args(argv)
    environment = command.environment(arguments.env)
    if not arguments.plan and arguments.yes != environment:
        raise UsageError(
            f"it removes the environment {environment}: expected --yes {environment}, or --plan, "
            f"got {'neither' if arguments.yes is None else f'--yes {arguments.yes}'}"
        )
    command.begin(f"looking for what belongs to the environment {environment}")
    site = _site(environment, arguments)
    from pipeline.bootstrap.change import carried_out
    from pipeline.cleanup import order

    show = (lambda change: None) if arguments.json else (lambda change: output(change.text()))
    found = carried_out(
        order.parts(site, catalog=arguments.catalog), plan=arguments.plan, show=show
    )
    if arguments.json:
        shown = [{"sign": each.sign, "what": each.what, "details": each.details} for each in found]
        output(json.dumps(shown, indent=2))
    signs = {each.what: each.sign for each in found}  # the last: a removal may be refused
    counted = Counter(signs.values())
    number = counted["-"] + counted["~"]  # a secret is emptied
    removed = f"{number} to remove" if number else "nothing to remove"
    (note if arguments.json else output)(f"{removed}, {counted['=']} stay")
    return 3 if arguments.plan and number else 0


def _site(environment: str, arguments: argparse.Namespace) -> Any:
    if environment == LOCAL:
        from pipeline.bootstrap import embedded
        from pipeline.local.synthetic import corpus

        return embedded.site(arguments.state, corpus.small())
    from pipeline.bootstrap import cloud

    return cloud.site(environment, None)


def _parser() -> argparse.ArgumentParser:
    example = "example:    python -m pipeline.cleanup --env dev --plan --json | jq '.[].what'"
    parser = command.parser("pipeline.cleanup", __doc__ or "", f"{command.EXIT_CODES}\n{example}")
    parser.add_argument(
        "--plan", action="store_true", help="print what would go and change nothing; exit 3 if any"
    )
    parser.add_argument(
        "--yes", metavar="ENV", help="the environment again, without which nothing is removed"
    )
    parser.add_argument(
        "--catalog",
        action="store_true",
        help="also remove the tables and the model that evidence names: an audit then fails",
    )
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")
    parser.add_argument(
        "--state", metavar="DIR", help="of `local`: its state folder (default: .local)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
