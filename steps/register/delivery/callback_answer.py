"""Answer the pipeline's callback step: Success with outputs, or Failure with a reason.

SageMaker makes an answer idempotent by its ClientRequestToken. Ours is derived from the answer's
content and is not random, so a repeated answer is the same one. If SageMaker refuses an answer
because the step was answered before, the step's outputs are compared with ours: if they are equal,
the earlier answer was ours too.

That SageMaker took an answer is read back from the step itself: a proxy's page with status 200
looks like SageMaker's answer, which has one optional field. As long as the step waits, its message
may not be deleted.
"""

import time
from collections.abc import Mapping

from botocore.exceptions import ClientError

from steps.governance import aws
from steps.governance.documents import canonical
from steps.governance.errors import Conflict, GovernanceError, Unavailable
from steps.register.delivery.sagemaker_truth import Callback, State, Truth

_MAX_REASON = 256  # characters of FailureReason
# before each look at the step after an answer: it ends at once or within some seconds [unverified]
_READ_BACK_SECONDS = (0.0, 0.3, 0.7, 2.0, 5.0)
# SageMaker's possible error codes for "already answered"; its API model does not name it
# [unverified]
_CLOSED = {"ConflictException", "ResourceNotFound", "ValidationException"}


class Answers:
    """Answers callback steps, with the worker's own role."""

    def __init__(self, region: str, truth: Truth) -> None:
        self._sagemaker, self._truth = aws.client("sagemaker", region), truth

    def succeed(self, callback: Callback, outputs: Mapping[str, str], *, key: str) -> None:
        """Answer that the model is registered.

        Args:
            callback: the waiting step.
            outputs: the step's outputs, by name.
            key: the effect's key: 64 hex digits, the same for every delivery.

        Raises:
            Conflict: the step was answered with something else.
            Unavailable: the step still waits.
        """
        accepted = True
        try:
            with aws.translated(f"answer {callback.execution_arn}"):
                self._sagemaker.send_pipeline_execution_step_success(
                    CallbackToken=callback.token,
                    OutputParameters=[
                        {"Name": name, "Value": value} for name, value in outputs.items()
                    ],
                    ClientRequestToken=key,
                )
        except GovernanceError as error:
            accepted, now = False, self._state_if_closed(error, callback)
        else:
            now = self._read_back(callback)
        ours = now.state is not State.FAILED and dict(now.outputs) == dict(outputs)
        # a step that is being stopped ends as stopped with either answer
        if not ours and not (accepted and now.state is State.STOPPED):
            raise Conflict(
                f"the callback of {callback.execution_arn} got another answer",
                expected="no answer yet, or ours",
                got=now.state.value,
                do="find out who may call SendPipelineExecutionStepSuccess besides this worker",
            )

    def fail(self, callback: Callback, reason: str) -> None:
        """Answer that no model was registered. A step that was answered before is not changed.

        Raises:
            Unavailable: the step still waits.
        """
        try:
            with aws.translated(f"answer {callback.execution_arn}"):
                self._sagemaker.send_pipeline_execution_step_failure(
                    CallbackToken=callback.token,
                    FailureReason=shortened(reason),
                    ClientRequestToken=canonical.sha256(
                        f"{callback.execution_arn}|failure|{reason}".encode()
                    ),
                )
        except GovernanceError as error:
            self._state_if_closed(error, callback)
        else:
            self._read_back(callback)

    def _read_back(self, callback: Callback) -> Callback:
        """Return the step once SageMaker lists it as answered, which may take some seconds."""
        for pause in _READ_BACK_SECONDS:
            time.sleep(pause)
            now = self._truth.now(callback)
            if now.closed:
                return now
        raise Unavailable(
            f"the answer to {callback.execution_arn} was not taken",
            expected="a step that has ended",
            got=f"{now.state.value} after {sum(_READ_BACK_SECONDS):.0f} s",
            do="nothing: the message is delivered again, and the same answer is repeated",
        )

    def _state_if_closed(self, error: GovernanceError, callback: Callback) -> Callback:
        """Return the step as SageMaker lists it now, if `error` means that it was answered before.

        Otherwise `error` is raised again.
        """
        cause = error.__cause__
        if not (isinstance(cause, ClientError) and aws.error_code(cause) in _CLOSED):
            raise error
        now = self._truth.now(callback)
        if not now.closed:
            raise error
        return now


def shortened(reason: str) -> str:
    """Return a reason as one line of at most 256 characters, SageMaker's limit."""
    line = " · ".join(part.strip() for part in reason.splitlines() if part.strip())
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 1] + "…"
