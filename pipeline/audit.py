"""Audit what the evidence claims: recompute it from the stored objects and the services.

    python -m pipeline.audit --env dev                                     # every record
    python -m pipeline.audit --env dev --model edgar.models.analyst@3      # one version
    python -m pipeline.audit --env dev --model edgar.models.analyst@champion --deep
    python -m pipeline.audit --env dev --all --deep --report audit.html

--quick (the default) checks documents, signatures, the ledger and what the services answer. --deep
also reads every file again: the archive, the version's files, both tables' files, the base model.

What takes over three seconds shows on stderr how many records are done, unless --quiet is given.

It runs `steps.audit`, which trusts only the two public keys in conf. It needs the role `auditor`,
which only reads (here: eval "$(python -m pipeline.local env --as auditor)").
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline import command, layout
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.shell import place

_EXIT_CODES = (
    "exit codes: 0 clean · 1 mismatch · 2 could not check, or bad usage · "
    "3 gone by declared retention"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the auditor with the arguments of conf and return its exit code."""
    given = _parser().parse_args(argv)
    place.require(given.report)
    configured = config.load(command.environment(given.env))
    command.require_role(configured.environment, "auditor")
    return command.step(
        "steps.audit",
        [*arguments(configured), *_chosen(given)],
        configured.logging.variables,
        doing="recomputing what the evidence claims",
    )


def arguments(configured: Config) -> list[str]:
    """Return the auditor's settings. `steps/audit/arguments.py` parses them."""
    evidence = configured.evidence
    settings = {
        "--evidence-uri": layout.evidence(configured),
        "--signing-public-key": evidence.signing_public_key,
        "--approval-public-key": evidence.approval_public_key,
        "--pipeline-name": configured.pipeline.name,
        "--model-name": str(configured.parameters["ModelName"]),
        "--databricks-host": configured.databricks.host,
        "--databricks-secret-id": evidence.auditor_secret_id,
        "--region": configured.aws.region,
        "--retention-days": str(evidence.retention_days),
        "--object-lock-days": str(evidence.object_lock_days),
    }
    if configured.register.model_package_group:
        settings["--model-package-group"] = configured.register.model_package_group
    return [word for pair in settings.items() for word in pair]


def _chosen(given: argparse.Namespace) -> list[str]:
    words = ["--model", given.model] if given.model else []
    words += [f"--{name}" for name in ("all", "quick", "deep", "json") if getattr(given, name)]
    words += ["--quiet"] if command.quiet() else []
    return [*words, "--report", given.report] if given.report else words


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("pipeline.audit", __doc__ or "", _EXIT_CODES)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME@VERSION|ALIAS", help="one model version")
    which.add_argument("--all", action="store_true", help="every record (the default)")
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="leave out files (the default)")
    depth.add_argument("--deep", action="store_true", help="read every file again")
    parser.add_argument("--json", action="store_true", help="print the lines as JSON")
    parser.add_argument("--report", metavar="FILE.html", help="also write one HTML page")
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
