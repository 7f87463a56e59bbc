"""Name every precondition of an environment that is missing, with its repair. Changes nothing.

    python -m pipeline.doctor --env dev            # what is missing, and how many are in order
    python -m pipeline.doctor --env dev --all      # a line for each check
    python -m pipeline.doctor --env local          # of a running embedded environment

An administrator runs it: with AWS credentials that may read policies and the secrets' values, and
as a metastore admin, by the SDK's environment variables. In `local` it takes both identities from
the state folder. docs/decisions/040-doctor.md has the reasons.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from pipeline import account as aws_account
from pipeline import command
from pipeline.command import output
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.doctor import account, drivers, layers, quotas
from pipeline.doctor.check import MISSING, OK, Check, guarded
from pipeline.doctor.statements import Client


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 if anything is missing."""
    arguments = _parser().parse_args(argv)
    environment = command.environment(arguments.env)
    command.begin(f"examining the environment {environment}")
    found = list(examined(*_identities(environment, arguments.state)))
    if arguments.json:
        output(json.dumps([asdict(check) for check in found], indent=2))
    else:
        shown = found if arguments.all else [check for check in found if check.state != OK]
        counted = Counter(check.state for check in found)
        summary = ", ".join(f"{number} {state}" for state, number in sorted(counted.items()))
        output("\n".join([*(check.text() for check in shown), summary]))
    return 1 if any(check.state == MISSING for check in found) else 0


def examined(config: Config, client: Client, admin: Callable[[], Any]) -> Iterator[Check]:
    """Yield every check; a service that gives no answer ends its own family only."""
    from botocore.exceptions import BotoCoreError, ClientError
    from databricks.sdk.errors.base import DatabricksError

    from pipeline.doctor import objects, workspace
    from pipeline.doctor.network import reached

    of_aws = (BotoCoreError, ClientError)
    yield from guarded("AWS account", lambda: account.checked(config, client), of_aws)
    of_quotas = partial(quotas.checked, config)
    yield from guarded("AWS quotas", lambda: of_quotas(client("service-quotas")), of_aws)
    yield from guarded("AWS driver", lambda: drivers.checked(config, client), of_aws)
    found = list(guarded("AWS layers", lambda: layers.checked(config, client), of_aws))
    yield from found
    if not any(check.state == MISSING and check.name.startswith("EC2::") for check in found):
        yield from guarded("AWS network", lambda: reached.checked(config, client), of_aws)

    def of_workspace() -> Iterator[Check]:
        who = admin()
        ids = workspace.principals(config, who)
        yield from workspace.checked(config, who, ids)
        yield from objects.checked(config, who, ids)
        if config.databricks.identity == "secret":
            yield from account.secrets(config, client("secretsmanager"), ids)

    refusals = (*of_aws, DatabricksError, ValueError, OSError)  # the SDK's own, before it asks
    yield from guarded("Databricks workspace", of_workspace, refusals)


def _identities(environment: str, state: str | None) -> tuple[Config, Client, Callable[[], Any]]:
    if environment == LOCAL:
        from pipeline.doctor import embedded

        return embedded.identities(state)
    config = configuration.load(environment)
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = aws_account.client(service, config)
        return made[service]

    def admin() -> Any:
        from databricks.sdk import WorkspaceClient

        return WorkspaceClient(host=config.databricks.host)

    return config, client, admin


def _parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").split("\n\n")[0]
    example = "example:    python -m pipeline.doctor --env dev --json | jq '.[] | .fix'"
    parser = command.parser("pipeline.doctor", description, f"{command.EXIT_CODES}\n{example}")
    parser.add_argument("--json", action="store_true", help="print every check as JSON")
    parser.add_argument("--all", action="store_true", help="print the checks in order too")
    parser.add_argument(
        "--state", metavar="DIR", help="of `local`: its state folder (default: .local)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
