"""The settings of a reconciliation: which services are compared, and how far it may go.

    parse(["--evidence-uri", "s3://…/executions", …, "--fix"])

Standard library only: a refusal must not wait for a heavier import. One error names all faults.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import UsageError
from steps.governance.names import UcName

EXIT_CODES = "exit codes: 0 all agree · 1 differences · 2 could not compare, or bad usage"


@dataclass(frozen=True)
class Arguments:
    """The settings, checked. Without `fix` nothing is changed.

    `execution` (12 characters) and `model` narrow the comparison. Nothing that is younger than
    `grace_seconds` is touched. With `fix` the end is awaited for `wait_seconds` at most.
    """

    evidence_uri: str
    pipeline_name: str
    queue_url: str
    model_name: UcName
    databricks_host: str
    databricks_secret_id: str
    region: str
    grace_seconds: int = 300
    wait_seconds: int = 120
    execution: str | None = None
    model: UcName | None = None
    redrive: bool = False
    fix: bool = False
    json: bool = False
    model_package_group: str | None = None  # of SageMaker's own registry


_ARGUMENTS = {
    "evidence_uri": Argument(types.S3_URI, "the folder of all executions in the evidence bucket"),
    "pipeline_name": Argument(
        types.PIPELINE_NAME, "the one pipeline whose executions are compared"
    ),
    "queue_url": Argument(
        types.matching(r"https?://[^\s/]+/[^\s]+", "the URL of an SQS queue"),
        "the queue of the register worker",
    ),
    "model_name": Argument(types.TABLE, "the registered model of conf"),
    "databricks_host": Argument(types.HOST, "the workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of the reconciler's principal"),
    "region": Argument(types.REGION, "the region of buckets, queues and jobs"),
    "grace_seconds": Argument(
        types.whole(0, 86_400), "nothing that is younger is touched", default="300"
    ),
    "wait_seconds": Argument(
        types.whole(0, 3600), "how long --fix waits for the worker", default="120"
    ),
}
_NARROWING = {
    "execution": Argument(
        types.matching(r"[a-z0-9]{12}", "the 12 characters of an execution's id"),
        "compare one execution",
    ),
    "model": Argument(types.TABLE, "compare one registered model"),
    "model_package_group": Argument(types.PACKAGE_GROUP, "whose packages follow the ledger"),
}
_FLAGS = {
    "fix": "add what is missing and remove what is unfinished",
    "redrive": "only the dead-letter queue",
    "json": "print one JSON document",
}


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, unknown = _parser().parse_known_args(list(argv))
    values, faults = types.read(_ARGUMENTS, vars(given), shown=types.option)
    narrowing = {name: each for name, each in _NARROWING.items() if getattr(given, name)}
    chosen, more = types.read(narrowing, vars(given), shown=types.option)
    values, faults = values | chosen, faults + more
    faults += [f"{argument[:60]}: unknown" for argument in unknown]
    if faults:
        raise UsageError(
            "nothing was compared", got="; ".join(faults), do="correct the arguments named above"
        )
    return Arguments(**values, **{name: getattr(given, name) for name in _FLAGS})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.reconcile",
        description="Compares executions, evidence, queue and catalog pairwise; --fix repairs.",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    types.add_options(parser, _ARGUMENTS)
    types.add_options(parser, _NARROWING)
    for name, text in _FLAGS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    return parser
