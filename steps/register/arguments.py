"""What the worker is told: its queue, its pipeline, its workspace, where evidence lies.

    parse(["--queue-url", …])          on the command line
    from_environment(os.environ)       in Lambda: QUEUE_URL, PIPELINE_NAME, DATABRICKS_HOST, …, AWS_REGION

Nothing here comes from a message. All faults are told at once.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steps.governance.errors import UsageError


@dataclass(frozen=True)
class Arguments:
    """The worker's settings, checked. `visibility_seconds` is how long a crashed worker's message and lease stay
    hidden."""

    queue_url: str
    pipeline_name: str
    databricks_host: str
    databricks_secret_id: str
    evidence_uri: str
    region: str
    visibility_seconds: int = 60


# name → (what a value must match, the same in words)
_RULES: dict[str, tuple[str, str]] = {
    "queue_url": (r"https?://[^\s/]+/[^\s]+", "the URL of an SQS queue"),
    "pipeline_name": (r"[A-Za-z0-9](-*[A-Za-z0-9]){0,255}", "the name of a SageMaker pipeline"),
    "databricks_host": (r"https?://[^\s/@]+/?", "https://<workspace>"),
    "databricks_secret_id": (
        r"[A-Za-z0-9][A-Za-z0-9/_+=.@:-]{0,2047}",
        "the name or ARN of a Secrets Manager secret",
    ),
    "evidence_uri": (
        r"s3://[a-z0-9.-]{3,63}/[A-Za-z0-9/_.-]*[A-Za-z0-9_-]",
        "s3://<evidence bucket>/executions",
    ),
    "region": (r"[a-z]{2}(-[a-z]+)+-[0-9]", "an AWS region"),
    "visibility_seconds": (r"[3-9]|[1-9][0-9]|[1-8][0-9]{2}|900", "3 to 900 seconds"),
}
_DEFAULTS = {"visibility_seconds": "60"}
_ENVIRONMENT = {name: name.upper() for name in _RULES} | {"region": "AWS_REGION"}


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, unknown = _parser().parse_known_args(list(argv))
    return _checked(vars(given), {name: _option(name) for name in _RULES}, unknown)


def from_environment(environ: Mapping[str, str]) -> Arguments:
    """Read the same settings from environment variables.

    Raises:
        UsageError: every missing or malformed variable, in one message.
    """
    return _checked(
        {name: environ.get(variable) for name, variable in _ENVIRONMENT.items()}, _ENVIRONMENT, []
    )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.register",
        description="Answers the pipeline's Register step: checks the trained model, registers it, records lineage.",
        allow_abbrev=False,
    )
    for name, (_, meaning) in _RULES.items():
        default = f" (default {_DEFAULTS[name]})" if name in _DEFAULTS else ""
        parser.add_argument(_option(name), metavar="VALUE", help=meaning + default)
    return parser


def _checked(
    given: Mapping[str, str | None], spelled: Mapping[str, str], unknown: Sequence[str]
) -> Arguments:
    values = {name: given.get(name) or _DEFAULTS.get(name, "") for name in _RULES}
    faults = [
        f"{spelled[name]}: expected {meaning}, got {repr(values[name])[:120] if values[name] else 'nothing'}"
        for name, (pattern, meaning) in _RULES.items()
        if not re.fullmatch(pattern, values[name])
    ]
    faults += [f"{argument[:60]}: unknown" for argument in unknown]
    if faults:
        raise UsageError(
            "the register worker was not started",
            got="; ".join(faults),
            do="correct the arguments named above",
        )
    return Arguments(**values | {"visibility_seconds": int(values["visibility_seconds"])})  # type: ignore[arg-type] # checked above
