"""One running step: its record in the execution's document, its waits, its retries, its end.

RunningStep(acting, execution_arn, step, scope).run(work)    # work: one of `step_types.WORK`

StepFailed      the step is Failed; the message is its FailureReason
StepStopped     the step is Stopped, because the execution is stopping
"""

import time
from collections.abc import Callable
from typing import Any

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.pipelines.definition import Step
from pipeline.local.aws.pipelines.expressions import ExpressionError, Scope, resolve
from pipeline.local.aws.pipelines.retries import Policies, fault_of
from pipeline.local.aws.store import Store, now

MAX_REASON_CHARACTERS = 1024


class StepFailed(Exception):
    """The step failed."""


class StepStopped(Exception):
    """The step was stopped with its execution."""


class Acting:
    """The session of the pipeline's role for one execution, and its clients."""

    def __init__(self, account: Account, session: RoleSession) -> None:
        self.account = account
        self._session = session
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client that signs with the pipeline role's keys."""
        if service not in self._clients:
            self._clients[service] = self.account.client(service, self._session)
        return self._clients[service]

    def check(self, action: str, resource: str) -> None:
        """Check a right that SageMaker uses itself, with the pipeline's role.

        Raises:
            Denied: the role lacks it.
        """
        self.account.check_session(self._session, action, resource)


class RunningStep:
    """The step as its work sees it: arguments, clients, record."""

    def __init__(self, acting: Acting, execution_arn: str, step: Step, scope: Scope) -> None:
        self.step = step
        self.execution_arn = execution_arn
        self.scope = scope
        self.client, self.check = acting.client, acting.check
        self._account = acting.account

    @property
    def store(self) -> Store:
        """The store of all documents."""
        return self._account.store

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account."""
        return self._account.arn(service, resource)

    @property
    def arguments(self) -> dict[str, Any]:
        """The step's arguments, resolved."""
        found: dict[str, Any] = resolve(self.step.arguments, self.scope)
        return found

    @property
    def stopping(self) -> bool:
        """Whether the execution is being stopped."""
        document = self.store.get("execution", self.execution_arn) or {}
        return document.get("PipelineExecutionStatus") == "Stopping"

    def run(self, work: Callable[["RunningStep"], None]) -> None:
        """Do the work with the step's retry policies, and record its final status in every case."""
        from botocore.exceptions import ClientError

        try:
            self._repeat(work)
            self._end("Succeeded")
        except StepStopped:
            self._end("Stopped")
        except (StepFailed, ExpressionError) as error:
            self._end("Failed", str(error))
        except ClientError as error:
            refused = error.response["Error"]
            details = f"{refused.get('Code')}: {refused.get('Message')}"
            self._end(
                "Failed",
                f"ClientError: Failed to invoke {error.operation_name}. Error Details: {details}",
            )
        except Exception as error:  # noqa: BLE001
            # This thread ends here, and the step must not stay Executing.
            self._end("Failed", f"ClientError: {error}")

    def set(self, **fields: Any) -> None:
        """Update the step's record."""
        if self._account.closing.is_set():
            raise SystemExit  # ends this thread alone; the next start records the interruption
        with self.store.edit("execution", self.execution_arn) as document:
            document["_steps"][self.step.name] |= fields
            document["LastModifiedTime"] = now()

    def await_end(self, ended: Callable[[], bool], stop: Callable[[], Any]) -> None:
        """Wait until the work has ended; if the execution is stopped, call `stop` once."""
        closing = self._account.closing
        self.store.wait(lambda: ended() or self.stopping or closing.is_set())
        if self.stopping and not ended():
            self.set(StepStatus="Stopping")
            stop()
            self.store.wait(lambda: ended() or closing.is_set())

    def judge(self, status: str, success: str, reason: str) -> None:
        """Return if the job's final status is `success`.

        Raises:
            StepStopped: the job was stopped with the execution.
            StepFailed: the job ended otherwise.
        """
        if status == success:
            return
        if self.stopping and status in ("Stopped", "CANCELLED"):
            raise StepStopped
        raise StepFailed(
            reason if reason.split(":")[0].endswith("Error") else f"ClientError: {reason}"
        )

    def _repeat(self, work: Callable[["RunningStep"], None]) -> None:
        policies = Policies(self.step.document.get("RetryPolicies") or [])
        while True:
            self.set(StepStatus="Executing")
            try:
                return work(self)
            except (StepStopped, ExpressionError):
                raise
            except Exception as error:
                pause_seconds = policies.next_pause(fault_of(error))
                if pause_seconds is None or self.stopping:
                    raise
            time.sleep(pause_seconds)

    def _end(self, status: str, reason: str = "") -> None:
        if self.step.type == "Callback" and self.stopping:
            status = "Stopped"  # any answer ends a step that is being stopped
        why = {"FailureReason": reason[:MAX_REASON_CHARACTERS]} if reason else {}
        self.set(StepStatus=status, EndTime=now(), **why)
