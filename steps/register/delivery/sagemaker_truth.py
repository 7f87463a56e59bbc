"""Compare a message with what SageMaker itself lists for the execution that the message names.

    callback = Truth(region, pipeline_name=…, queue_url=…).verify(message)

A message is accepted only if its execution belongs to our pipeline, the execution has one callback
step on our queue, and that step's token is the message's. Anything else is `MessageRefused` and is
not answered, since the sender is unknown. All calls are reads.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from steps.governance import aws
from steps.governance.errors import NotFound, UsageError
from steps.governance.names import execution_id
from steps.register.delivery.answer_shape import shaped
from steps.register.delivery.message import Message, MessageRefused


class State(Enum):
    """The state of the callback step.

    OPEN waits for the registration. STOPPING waits for the answer that the stop is done. The others
    were answered and wait for nothing; a STOPPED one with Success or with Failure.
    """

    OPEN = "open"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Callback:
    """A callback step as SageMaker lists it."""

    execution_arn: str
    token: str = field(repr=False)
    state: State
    outputs: Mapping[str, str]

    @property
    def execution_id(self) -> str:
        """The execution's 12 characters: the name of its folder in the evidence bucket."""
        return execution_id(self.execution_arn)

    @property
    def closed(self) -> bool:
        """Whether the step was answered."""
        return self.state not in (State.OPEN, State.STOPPING)


class Truth:
    """SageMaker's own account of our pipeline's executions."""

    def __init__(self, region: str, *, pipeline_name: str, queue_url: str) -> None:
        self._pipeline, self._queue_url = pipeline_name, queue_url
        self._sagemaker = aws.client("sagemaker", region)

    def verify(self, message: Message) -> Callback:
        """Return the callback step that the message names.

        Raises:
            MessageRefused: SageMaker lists something else than the message claims.
        """
        if _pipeline_name(message.execution_arn) != self._pipeline.casefold():
            raise _mismatch(
                "another pipeline's execution",
                f"an execution of {self._pipeline}",
                message.execution_arn,
            )
        try:
            status = self.execution_status(message.execution_arn)
            steps = self.steps(message.execution_arn)
        except (NotFound, UsageError) as error:
            raise _mismatch(
                "no such execution", "an execution SageMaker knows", message.execution_arn
            ) from error
        with shaped(f"list the steps of {message.execution_arn}"):
            callback = self._callback(message, status, steps)
        if message.stopping and callback.state is State.OPEN:
            raise _mismatch("a stop that SageMaker does not know of", "status Stopping", status)
        return callback

    def now(self, callback: Callback) -> Callback:
        """Return the step of a confirmed message as SageMaker lists it now."""
        arn = callback.execution_arn
        status, steps = self.execution_status(arn), self.steps(arn)
        with shaped(f"list the steps of {arn}"):
            found = _callback_step(steps)
            return replace(
                callback,
                state=_state(status, found["StepStatus"]),
                outputs=_outputs(found["Metadata"]["Callback"]),
            )

    def execution_status(self, execution_arn: str) -> str:
        """Return `Executing`, `Stopping`, `Succeeded`, …"""
        doing = f"describe execution {execution_arn}"
        with shaped(doing), aws.translated(doing):
            answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)
            arn, status = answer["PipelineArn"], answer["PipelineExecutionStatus"]
        if _pipeline_name(arn + "/") != self._pipeline.casefold():
            raise _mismatch(
                "another pipeline's execution", f"an execution of {self._pipeline}", arn
            )
        return str(status)

    def steps(self, execution_arn: str) -> list[dict[str, Any]]:
        """Return the execution's steps with their metadata."""
        doing = f"list the steps of {execution_arn}"
        with shaped(doing), aws.translated(doing):
            pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
                PipelineExecutionArn=execution_arn
            )
            return [step for page in pages for step in page["PipelineExecutionSteps"]]

    def _callback(
        self, message: Message, execution_status: str, steps: list[dict[str, Any]]
    ) -> Callback:
        found = _callback_step(steps)
        metadata = found["Metadata"]["Callback"]
        if not hmac.compare_digest(str(metadata.get("CallbackToken", "")), message.token):
            raise _mismatch(
                "another token",
                "the token that SageMaker lists for this step",
                "a different one (not shown)",
            )
        if metadata.get("SqsQueueUrl") != self._queue_url:
            got = str(metadata.get("SqsQueueUrl"))
            raise _mismatch("another queue's callback", self._queue_url, got)
        return Callback(
            message.execution_arn,
            message.token,
            _state(execution_status, found["StepStatus"]),
            _outputs(metadata),
        )


def _callback_step(steps: list[dict[str, Any]]) -> dict[str, Any]:
    found = [step for step in steps if "Callback" in step.get("Metadata", {})]
    if len(found) != 1:
        raise _mismatch("no single callback step", "one callback step", f"{len(found)} of them")
    return found[0]


def _outputs(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {entry["Name"]: entry["Value"] for entry in metadata.get("OutputParameters", [])}


def _state(execution_status: str, step_status: str) -> State:
    if step_status == "Succeeded":
        return State.SUCCEEDED
    if step_status == "Failed":
        return State.FAILED
    if step_status == "Stopped":
        return State.STOPPED
    return State.STOPPING if "Stopping" in (execution_status, step_status) else State.OPEN


def _pipeline_name(arn: str) -> str:
    """Return the pipeline's name in an ARN, case-folded, since SageMaker lower-cases it there."""
    return arn.split(":pipeline/", 1)[-1].split("/", 1)[0].casefold()


def _mismatch(what: str, expected: str, got: str) -> MessageRefused:
    return MessageRefused(f"a message was refused: {what}", expected=expected, got=got[:200])
