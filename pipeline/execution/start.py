"""One execution of the pipeline: start it, watch it, say how it ended. Only boto3; the definition is the deployed one.

    arn = start(config, client, {"MaxEvalLoss": "2.2"}, token="tuesday-1")
    outcome = follow(config, client, arn, show=lambda progress: None)

Starting twice with the same parameters and token gives the same execution, so a lost answer is asked for again.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline import account
from pipeline.config import Config
from pipeline.deployment import provenance
from pipeline.errors import UsageError
from pipeline.execution.outcome import Outcome, Progress, outcome
from pipeline.execution.values import checked
from pipeline.execution.watch import observe, planned

# Visible to the operator, as the execution's display name (botocore 1.44.5: PipelineExecutionName).
TOKEN, _LONGEST_TOKEN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"), 82
# An end is noticed at most 2 % late, but never sooner than a second or later than a quarter of a minute.
_PATIENCE, _SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 1.0, 15.0


def new_token() -> str:
    """A token nobody has used: the time, and enough chance for two people in one second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Start:
    """A start that was checked and not yet sent; sent twice, it starts nothing twice."""

    config: Config
    request: Mapping[str, Any]
    left_out: Mapping[str, str] = field(
        default_factory=dict
    )  # of the execution it is taken from: declared no more

    def send(self, client: Any) -> str:
        """The execution's ARN.

        Raises:
            Refused: AWS refused, or did not answer.
        """
        with account.answering(f"StartPipelineExecution {self.config.pipeline.name}", self.config):
            token = provenance.sha256(self.request)
            arn: str = client.start_pipeline_execution(**self.request, ClientRequestToken=token)[
                "PipelineExecutionArn"
            ]
        return arn


def prepared(
    config: Config,
    client: Any,
    overrides: Mapping[str, str],
    *,
    token: str,
    source: str | None = None,
) -> Start:
    """A start with the texts of `overrides`, on top of the parameters of the execution `source`: whatever that one ran
    with is taken, unless the deployed definition or a step would refuse it.

    Raises:
        UsageError: a name, type or value is wrong, or the token or source is; every fault is in the message.
        Refused: AWS refused.
    """
    if not TOKEN.fullmatch(token) or len(token) > _LONGEST_TOKEN:
        message = f"expected a token of letters, digits and hyphens (82 at most), got {token!r}"
        raise UsageError(message)
    pipeline = _deployed(config, client)
    definition = json.loads(pipeline["PipelineDefinition"])
    inherited = (
        parameters_of(config, client, execution_arn(pipeline["PipelineArn"], source))
        if source
        else {}
    )
    values = checked(overrides, definition, inherited)
    request = {
        "PipelineName": config.pipeline.name,
        "PipelineExecutionDisplayName": token,
        "PipelineParameters": [
            {"Name": name, "Value": str(value)} for name, value in sorted(values.typed.items())
        ],
    }
    return Start(config, request, values.left_out)


def start(
    config: Config, client: Any, overrides: Mapping[str, str], *, token: str | None = None
) -> str:
    """Start an execution; its ARN. For a caller that asks again with the same token if the answer was lost.

    Raises:
        UsageError: as `prepared`.
        Refused: AWS refused.
    """
    return prepared(config, client, overrides, token=token or new_token()).send(client)


def follow(
    config: Config,
    client: Any,
    arn: str,
    *,
    show: Callable[[Progress], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Show each change until the execution has ended, and say how it did.

    Raises:
        Refused: AWS refused to say; the execution goes on.
    """
    names = planned(config, client, arn)
    began, known = clock(), None
    while True:
        progress = observe(config, client, arn, planned=names, before=known)
        show(progress)
        if progress.ended:
            return outcome(progress, parameters_of(config, client, arn))
        known = progress
        elapsed = clock() - began
        sleep(min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, elapsed * _PATIENCE)))


def parameters_of(config: Config, client: Any, arn: str) -> dict[str, str]:
    """Every parameter an execution ran with: its definition's defaults, and what was given at its start."""
    with account.answering(f"reading the parameters of {arn}", config):
        definition = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)[
            "PipelineDefinition"
        ]
        pages = client.get_paginator("list_pipeline_parameters_for_execution").paginate(
            PipelineExecutionArn=arn
        )
        given = {
            parameter["Name"]: parameter["Value"]
            for page in pages
            for parameter in page["PipelineParameters"]
        }
    defaults = {
        p["Name"]: str(p["DefaultValue"])
        for p in json.loads(definition)["Parameters"]
        if "DefaultValue" in p
    }
    return {**defaults, **given}


def execution_arn(pipeline_arn: str, execution: str) -> str:
    """The ARN of an execution of this pipeline, named by its ARN or its id.

    Raises:
        UsageError: it is an execution of another pipeline, or neither an ARN nor an id.
    """
    if re.fullmatch(r"[a-z0-9]{1,64}", execution):
        return f"{pipeline_arn}/execution/{execution}"
    if execution.lower().startswith(f"{pipeline_arn}/execution/".lower()):
        return execution
    message = f"expected an execution of {pipeline_arn}, by id or ARN, got {execution!r}"
    raise UsageError(message)


def _deployed(config: Config, client: Any) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    name = config.pipeline.name
    with account.answering(f"DescribePipeline {name}", config):
        try:
            found: dict[str, Any] = client.describe_pipeline(PipelineName=name)
        except ClientError as error:
            if not account.is_absent(error):
                raise
            message = (
                f"there is no pipeline {name!r} in account {config.aws.account_id}, {config.aws.region}; "
                f"deploy it: python -m pipeline.upsert --env {config.environment}"
            )
            raise UsageError(message) from error
    account.check_account(found["PipelineArn"], config)
    return found
