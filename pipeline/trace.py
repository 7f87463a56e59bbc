"""Answer from the evidence: who and what made this model, and where did this data go?

    python -m pipeline.trace --env dev --model edgar_dev.models.risk_analyst@champion
    python -m pipeline.trace --env dev --execution 4x7k2m9p1q0z --html lineage.html
    python -m pipeline.trace --env dev --table edgar_dev.raw.filings --version 7 --json
    python -m pipeline.trace --env dev --filing 0000320193-24-000123  # who saw it, what to retrain
    python -m pipeline.trace --env dev --principal 00000000-0000-0000-0000-000000000000
    python -m pipeline.trace --env dev --model edgar_dev.models.risk_analyst@3 --format cyclonedx

It needs read rights on the evidence bucket, as `scientist` and `auditor` have them. Aliases are
those of now if the workspace answers, and those of the record if not. An index in the user's cache
makes answers fast; it is made from the evidence, and brought up to it by each command. Settings
come from conf/ENV.yaml; `steps/trace` does the work.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from pipeline import command, layout
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.shell import place

_VALUES = {
    "model": ("NAME@VERSION|ALIAS", "a model version: all that made it, and its aliases"),
    "execution": ("ID", "an execution, by id or ARN"),
    "table": ("NAME", "a raw or curated table: where its versions came from and went"),
    "version": ("N", "one Delta version of --table"),
    "filing": ("ID", "a filing: which versions saw it, and what to retrain to forget it"),
    "principal": ("ID", "a principal, role, profile or group: what it did"),
    "html": ("FILE", "write one self-contained page with the lineage graph"),
    "format": ("NAME", "slsa, openlineage, cyclonedx, cyclonedx-1.6, croissant, training-summary"),
    "index": ("DIR", "the folder of the index (default: in the user's cache)"),
}
_FLAGS = {
    "json": "print the answer as JSON",
    "signed": "with --format slsa: the stored, signed envelope",
    "rebuild": "read all evidence again",
    "offline": "answer from the index alone, without any network call",
}
_ROLES = ("scientist", "auditor")
_EXIT_CODES = (
    "exit codes: 0 done · 1 refused, failed, or evidence that could not be read · "
    "2 bad usage or configuration, or an object that the evidence does not have"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    place.require(given.html)
    configured = config.load(command.environment(given.env))
    return command.step(
        "steps.trace",
        [*settings(configured, given.role), *_question(given)],
        configured.logging.variables,
        doing="reading the evidence",
    )


def settings(configured: Config, role: str = _ROLES[0]) -> list[str]:
    """Return the settings of trace that follow from the configuration."""
    evidence = configured.evidence
    secrets = {"scientist": evidence.scientist_secret_id, "auditor": evidence.auditor_secret_id}
    values = {
        "--evidence-uri": layout.evidence(configured),
        "--region": configured.aws.region,
        "--databricks-host": configured.databricks.host,
        "--databricks-secret-id": secrets[role],
    }
    if configured.register.model_package_group:
        values["--model-package-group"] = configured.register.model_package_group
    return [word for pair in values.items() for word in pair]


def _question(given: Namespace) -> list[str]:
    # One word for each, so that a value that begins with a dash stays a value.
    words = [
        f"--{name}={getattr(given, name)}" for name in _VALUES if getattr(given, name) is not None
    ]
    return words + [f"--{name}" for name in _FLAGS if getattr(given, name)]


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.trace", __doc__ or "", _EXIT_CODES)
    for name, (metavar, text) in _VALUES.items():
        made.add_argument(f"--{name}", metavar=metavar, help=text)
    for name, text in _FLAGS.items():
        made.add_argument(f"--{name}", action="store_true", help=text)
    made.add_argument(
        "--as",
        dest="role",
        choices=_ROLES,
        default=command.shell_role(_ROLES),
        help="whose Databricks secret is read for the aliases of now (default: scientist, "
        "or the role of a shell of the embedded environment)",
    )
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
