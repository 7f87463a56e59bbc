"""Approve that an alias points to a model version, or revoke it. Only a member of a group may.

    python -m pipeline.approve --env dev --model edgar.models.m@3 --alias champion --reason TEXT
    python -m pipeline.approve --env dev --model edgar.models.m@3 --alias champion --reason TEXT \\
        --revoke

It runs with the AWS role `approver` and needs its Databricks principal in the group
`evidence.approvers_group`. A signed approval and its entry in the ledger are written before the
version's tag and the alias change; its package in SageMaker's own registry follows, if conf names a
group (`register.model_package_group`). The same command again changes nothing, and after a crash it
continues. Who started the execution cannot approve its model. An alias that a run may set
(`limits.aliases` of conf) is not approved, because the next run would move it.
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline import command, layout
from pipeline.configuration import config
from pipeline.configuration.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    command.require_role(configured.environment, "approver")
    # One word for each, so that a reason that begins with a dash stays a reason.
    decided = [f"--{name}={getattr(given, name)}" for name in ("model", "alias", "reason")]
    flags = [f"--{name}" for name in ("revoke", "json") if getattr(given, name)]
    return command.step(
        "steps.approve",
        [*decided, *flags, *arguments(configured)],
        configured.logging.variables,
        doing="verifying the version's record",
    )


def arguments(configured: Config) -> list[str]:
    """Return what an approval takes from conf; steps/approve/arguments.py parses."""
    evidence = configured.evidence
    settings = {
        "--evidence-uri": layout.evidence(configured),
        "--signing-public-key": evidence.signing_public_key,
        "--approval-key-arn": evidence.approval_key_arn,
        "--approval-public-key": evidence.approval_public_key,
        "--approvers-group": evidence.approvers_group,
        "--approval-tag": evidence.approval_tag,
        "--run-aliases": ",".join(configured.limits.aliases),
        "--databricks-host": configured.databricks.host,
        "--databricks-secret-id": evidence.approver_secret_id,
        "--region": configured.aws.region,
    }
    register = configured.register
    if register.model_package_group and register.serving_image:
        settings["--model-package-group"] = register.model_package_group
        settings["--serving-image"] = register.serving_image
    return [word for pair in settings.items() for word in pair]


def _parser() -> argparse.ArgumentParser:
    made = command.parser("pipeline.approve", __doc__ or "", command.EXIT_CODES)
    made.add_argument("--model", required=True, metavar="NAME@VERSION", help="the model version")
    made.add_argument("--alias", required=True, help="such as champion; none of limits.aliases")
    made.add_argument("--reason", required=True, metavar="TEXT", help="why; it is signed and kept")
    made.add_argument("--revoke", action="store_true", help="take the approval back")
    made.add_argument("--json", action="store_true", help="print the outcome as JSON")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
