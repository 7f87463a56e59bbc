"""Rotate the OAuth secrets of the principals, one after the other; a repetition continues.

    python -m pipeline.rotate --env dev                        # every principal
    python -m pipeline.rotate --env dev --principal register   # one of them

Who runs it administers the workspace (the Databricks SDK's variables) and may read and write the
secrets in AWS. The replaced secret stays valid until the next rotation, so no running job fails.
Secrets of a principal that AWS does not hold are removed: Databricks keeps five of them.

An account with AWS's managed rotation, or with `databricks.identity: federated`, does not need it.
docs/decisions/059-rotation.md has the reasons.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from pipeline import command, rights
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run `steps.governance.rotation` with the arguments of conf and return its exit code."""
    given = _parser().parse_args(argv)
    environment = command.environment(given.env)
    command.begin(f"looking at the secrets of the environment {environment}")
    config, variables = _identities(environment, given.state)
    if config.databricks.identity != "secret":
        raise UsageError(
            f"databricks.identity of {environment} is {config.databricks.identity}: "
            "its principals have no secret to rotate"
        )
    words = ["--databricks-host", config.databricks.host, "--region", config.aws.region]
    for principal in given.principal or rights.PRINCIPALS:
        words += ["--secret", rights.secret_name(environment, principal)]
    doing = "rotating the secrets"
    return command.step("steps.governance.rotation", words, variables, doing=doing)


def _identities(environment: str, state: str | None) -> tuple[Config, Mapping[str, str]]:
    """Return conf, and variables of an administrator where the caller does not set them."""
    if environment != LOCAL:
        config = configuration.load(environment)
        return config, config.logging.variables
    from pipeline.doctor import embedded

    config, _, _ = embedded.identities(state)
    return config, config.logging.variables | embedded.variables(state)


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("pipeline.rotate", __doc__ or "", command.EXIT_CODES)
    parser.add_argument(
        "--principal",
        action="append",
        choices=rights.PRINCIPALS,
        help="one principal; may be given again (default: all)",
    )
    parser.add_argument(
        "--state", metavar="DIR", help="of `local`: its state folder (default: .local)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
