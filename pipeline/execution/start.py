"""Start one execution of the deployed pipeline, follow it, and return how it ended.

    arn = start(config, client, {"MaxEvalLoss": "2.2"}, token="tuesday-1")
    outcome = follow(config, client, arn, show=lambda progress: None)

Only boto3 is used: the definition is the deployed one. Two starts with the same parameters and
token are one execution, so a start whose answer was lost can be repeated.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline import account, command
from pipeline.configuration.config import Config
from pipeline.deployment import provenance
from pipeline.errors import UsageError
from pipeline.execution import ran_with, reuse
from pipeline.execution.outcome import Outcome, Progress, outcome
from pipeline.execution.values import checked
from pipeline.execution.watch import observe, planned

# The token is the execution's display name too (botocore 1.44.5: PipelineExecutionName).
TOKEN, _LONGEST_TOKEN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"), 82
# Wait 2 % of the time that has passed, but at least 1 s and at most 15 s. So an end is noticed at
# most 2 % late, and a long execution is described four times a minute.
_CONFLICTS = ("ConflictException", "Conflict")
_WAIT_FRACTION, _SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 1.0, 15.0


def new_token() -> str:
    """Return a token that nobody has used: the time and 24 random bits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Start:
    """A start that was checked and not yet sent. Sent twice, it starts one execution."""

    config: Config
    request: Mapping[str, Any]
    # Parameters of the source execution that the deployed definition no longer declares.
    left_out: Mapping[str, str] = field(default_factory=dict)
    # The id of the source execution, if this start's Prepare would make its examples again.
    reusable: str = ""
    ran: ran_with.RanWith = field(default_factory=ran_with.nothing)

    def send(self, client: Any) -> str:
        """Start the execution and return its ARN; for a token that was used, that of its execution.

        Raises:
            UsageError: the token started an execution with other parameters.
            Refused: AWS refused, or did not answer.
        """
        from botocore.exceptions import ClientError

        name, token = self.request["PipelineName"], self.request["PipelineExecutionDisplayName"]
        with account.answering(f"StartPipelineExecution {name}", self.config):
            try:
                answer = client.start_pipeline_execution(
                    **self.request, ClientRequestToken=provenance.sha256([name, token])
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _CONFLICTS:
                    raise
                shown = command.line("pipeline.runs", self.config.environment)
                raise _reused(token, f"`{shown}` shows it") from error
        arn: str = answer["PipelineExecutionArn"]
        self._check(client, token, arn)
        return arn

    def _check(self, client: Any, token: str, arn: str) -> None:
        """Check that the execution has these parameters. SageMaker may return an earlier one for a
        token without comparing them [unverified]."""
        ran = ran_with.read(self.config, client, arn)
        differing = [
            f"{name}={value}, and now {wanted}"
            for name, wanted in self._texts.items()
            if not ran_with.same(value := ran.values.get(name, ""), wanted)
        ]
        differing += [
            f"{name}={value}, and now the default"
            for name, (_, value) in ran.differing.items()
            if name not in self._texts
        ]
        if differing:
            raise _reused(token, f"execution {arn.rsplit('/', 1)[-1]} with {'; '.join(differing)}")

    @property
    def _texts(self) -> dict[str, str]:
        return {each["Name"]: each["Value"] for each in self.request["PipelineParameters"]}


def _reused(token: str, text: str) -> UsageError:
    message = (
        f"the token {token!r} has started an execution with other parameters: {text}\n"
        "  do  choose another --token, or repeat the parameters of the first start"
    )
    return UsageError(message)


def prepared(
    config: Config,
    client: Any,
    overrides: Mapping[str, str],
    *,
    token: str,
    source: str | None = None,
) -> Start:
    """Check a start and return it without sending it.

    Args:
        config: the environment.
        client: its SageMaker client.
        overrides: texts of `--set` by parameter name.
        token: the name of this start.
        source: an execution, by ARN or id, whose other parameters are taken. A value that it ran
            with is taken unless the deployed definition or a step would refuse it.

    Raises:
        UsageError: a name, type or value is wrong, or the token or source is; with every fault.
        Refused: AWS refused.
    """
    if not TOKEN.fullmatch(token) or len(token) > _LONGEST_TOKEN:
        message = f"expected a token of letters, digits and hyphens (82 at most), got {token!r}"
        raise UsageError(message)
    pipeline = _deployed(config, client)
    definition = json.loads(pipeline["PipelineDefinition"])
    source = source and execution_arn(pipeline["PipelineArn"], source)
    inherited = parameters_of(config, client, source) if source else {}
    values = checked(overrides, definition, inherited, ceilings=config.limits)
    texts = {name: str(value) for name, value in sorted(values.typed.items())}
    reuse.require(config, client, pipeline, texts)
    request = {
        "PipelineName": config.pipeline.name,
        "PipelineExecutionDisplayName": token,
        "PipelineParameters": [{"Name": name, "Value": text} for name, text in texts.items()],
    }
    same = reuse.offered(config, client, pipeline, texts, source) if source else ""
    return Start(config, request, values.left_out, same, ran_with.planned(definition, texts))


def start(
    config: Config, client: Any, overrides: Mapping[str, str], *, token: str | None = None
) -> str:
    """Start an execution and return its ARN. Repeat it with the same token if the answer was lost.

    Raises:
        UsageError: as `prepared`.
        Refused: AWS refused.
    """
    return prepared(config, client, overrides, token=token or new_token()).send(client)


@dataclass(frozen=True)
class Timing:
    """How `follow` waits and measures time, in seconds. Tests replace both."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


_REAL_TIME = Timing()


def follow(
    config: Config,
    client: Any,
    arn: str,
    *,
    show: Callable[[Progress], None],
    timing: Timing = _REAL_TIME,
) -> Outcome:
    """Call `show` with the progress until the execution has ended, and return how it ended.

    Raises:
        Refused: AWS refused to describe the execution, which continues.
    """
    names = planned(config, client, arn)
    began, known = timing.clock(), None
    while True:
        progress = observe(config, client, arn, planned=names, before=known)
        show(progress)
        if progress.ended:
            return outcome(progress, parameters_of(config, client, arn))
        known = progress
        wait = (timing.clock() - began) * _WAIT_FRACTION
        timing.sleep(min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, wait)))


def parameters_of(config: Config, client: Any, arn: str) -> dict[str, str]:
    """Return every parameter that an execution ran with: its definition's defaults, and those that
    were given at its start.

    Raises:
        Refused: AWS refused.
    """
    return dict(ran_with.read(config, client, arn).values)


def execution_arn(pipeline_arn: str, execution: str) -> str:
    """Return the ARN of an execution of this pipeline, given its ARN or its id.

    Raises:
        UsageError: it is an execution of another pipeline, or neither an ARN nor an id.
    """
    if re.fullmatch(r"[a-z0-9]{1,64}", execution):
        return f"{pipeline_arn}/execution/{execution}"
    if execution.lower().startswith(f"{pipeline_arn}/execution/".lower()):
        return execution
    message = f"expected an execution of {pipeline_arn}, by id or ARN, got {execution!r}"
    raise UsageError(message)


def named(config: Config, client: Any, execution: str) -> str:
    """Return the ARN of an execution of the environment's pipeline, given its ARN or its id.

    Raises:
        UsageError: the pipeline is not deployed, or it is an execution of another one.
        Refused: AWS refused.
    """
    return execution_arn(_deployed(config, client)["PipelineArn"], execution)


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
                f"pipeline {name!r} does not exist in account {config.aws.account_id}, "
                f"{config.aws.region}; "
                f"deploy it: {command.line_as('ci', 'pipeline.upsert', config.environment)}"
            )
            raise UsageError(message) from error
    account.check_account(found["PipelineArn"], config)
    return found
