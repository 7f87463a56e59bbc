"""The settings of the register worker: its queue, pipeline, workspace and evidence folder.

    parse(["--queue-url", …])          on the command line
    from_environment(os.environ)       in Lambda: QUEUE_URL, PIPELINE_NAME, …, AWS_REGION

No setting comes from a message. One error names all faults.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import UsageError
from steps.governance.openlineage.target import NONE, TARGET, Target
from steps.governance.unity_catalog.budgets import DELIVERING_SECONDS
from steps.register.limits import Limits


@dataclass(frozen=True)
class Arguments:
    """The worker's settings, checked.

    `visibility_seconds` is how long the message and the lease of a worker that died stay hidden,
    `give_up_after_seconds` how long a registration is tried (SQS keeps a message for 14 days).
    """

    queue_url: str
    pipeline_name: str
    databricks_host: str
    databricks_secret_id: str
    evidence_uri: str
    image: str
    signing_key_arn: str
    ledger_uri: str
    region: str
    limits: Limits
    visibility_seconds: int = 60
    openlineage: Target | None = None
    give_up_after_seconds: int = DELIVERING_SECONDS
    exit_after_seconds: int = 120
    heartbeat_uri: str | None = None
    metrics: str = "none"
    health_address: str | None = None


def _or_none(kind: types.ArgumentType) -> types.ArgumentType:
    """The same kind, or the word `none`, which is read as None."""
    return types.ArgumentType(
        lambda text: None if text == NONE else kind.parse(text), f"{kind.expected}, or {NONE}"
    )


_LIMITS = {
    "max_eval_loss": Argument(
        types.between(
            r"[0-9]{1,10}(\.[0-9]{1,20})?(e-?[0-9]{1,2})?", 1e9, "a number above 0, at most 1e9"
        ),
        "the highest MaxEvalLoss that an execution may have, nats per target token",
    ),
    "instance_types": Argument(
        types.words(
            types.matching(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "an instance type").parse,
            "SageMaker instance types",
        ),
        "the instances that Train may run on",
    ),
    "max_runtime_seconds": Argument(
        types.whole(60, 432_000), "the longest run time that a training job may be given"
    ),
    "aliases": Argument(
        types.ALIASES,
        "the aliases that an execution may set; an approval moves all others",
    ),
}
_ARGUMENTS = {
    "queue_url": Argument(
        types.matching(r"https?://[^\s/]+/[^\s]+", "the URL of an SQS queue"),
        "the queue that the pipeline sends its callbacks to",
    ),
    "pipeline_name": Argument(
        types.PIPELINE_NAME,
        "the one pipeline whose callbacks are answered",
    ),
    "databricks_host": Argument(types.HOST, "the workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of the worker's principal"),
    "evidence_uri": Argument(types.S3_URI, "the folder of all executions in the evidence bucket"),
    "image": Argument(
        types.matching(
            r"[^\s@]+@sha256:[0-9a-f]{64}|000000000000\.[^\s@]+:local", "an image by digest"
        ),
        "the worker's own image, for the record",
    ),
    "signing_key_arn": Argument(
        types.KMS_KEY,
        "the key that signs records and ledger entries",
    ),
    "ledger_uri": Argument(types.S3_URI, "the folder of the ledger in the evidence bucket"),
    "region": Argument(types.REGION, "the region of queue, secret and evidence"),
    **_LIMITS,
    "visibility_seconds": Argument(
        types.whole(3, 900),
        "seconds that the message and the lease of a worker that died stay hidden",
        default="60",
    ),
    "give_up_after_seconds": Argument(
        types.whole(1, 1_000_000),
        "seconds from a message's first receive after which a registration that must wait fails",
        default=str(DELIVERING_SECONDS),
    ),
    "exit_after_seconds": Argument(
        types.whole(1, 86_400),
        "seconds without credentials, queue or rights after which the worker ends with exit code "
        "75, so that its supervisor starts it again",
        default="120",
    ),
    "heartbeat_uri": Argument(
        _or_none(types.S3_URI), "the object that the worker overwrites while it works", default=NONE
    ),
    "metrics": Argument(
        types.matching("none|emf", "none or emf"),
        "emf: the heartbeat as lines in CloudWatch's embedded metric format on stdout",
        default=NONE,
    ),
    "health_address": Argument(
        _or_none(types.matching(r"[A-Za-z0-9.\-]+:[0-9]{1,5}", "HOST:PORT")),
        "where GET /health answers 200 or 503, as 127.0.0.1:8080",
        default=NONE,
    ),
    "openlineage": Argument(TARGET, "where run events are sent; none is nowhere", default=NONE),
}
_ENVIRONMENT = {name: name.upper() for name in _ARGUMENTS} | {"region": "AWS_REGION"}


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, unknown = _parser().parse_known_args(list(argv))
    values, faults = types.read(_ARGUMENTS, vars(given), shown=types.option)
    faults += [f"{argument[:60]}: unknown" for argument in unknown]
    if faults:
        raise _usage(faults)
    return _arguments(values)


def from_environment(environ: Mapping[str, str]) -> Arguments:
    """Read the same settings from environment variables. An empty variable counts as missing.

    Raises:
        UsageError: every missing or malformed variable, in one message.
    """
    texts = {name: environ.get(variable) or None for name, variable in _ENVIRONMENT.items()}
    values, faults = types.read(_ARGUMENTS, texts, shown=_ENVIRONMENT.__getitem__)
    if faults:
        raise _usage(faults)
    return _arguments(values)


def _arguments(values: dict[str, Any]) -> Arguments:
    limits = Limits(**{name: values.pop(name) for name in _LIMITS})
    return Arguments(**values, limits=limits)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.register",
        description="Answers the pipeline's Register step: checks the trained model, registers it, "
        "records its lineage.",
        allow_abbrev=False,
    )
    types.add_options(parser, _ARGUMENTS)
    return parser


def _usage(faults: list[str]) -> UsageError:
    return UsageError(
        "the register worker was not started",
        got="; ".join(faults),
        do="correct the arguments named above",
    )
