"""One delivery of one message, from its body to what becomes of it.

Worker(arguments, stop).handle(delivery)

refused       the message says what SageMaker does not      not answered; for the dead-letter queue; one ALERT line
answered      somebody was here before                      deleted
stopping      the execution is being stopped                what is unfinished is undone, Failure, deleted
registered    the model stands                              Success, deleted
impossible    bad artifact, missing privilege               Failure with the reason, deleted
not now       no answer, lease held, asked to stop          given back to the queue; the execution's description says why
not ever      "not now" for the last time                   Failure with the reason; for the dead-letter queue; one ALERT line

What the workspace does not find (a schema that vanished) is "not now": somebody may put it back. A stop is noticed in
each of these states and ends within a minute (`stop_watch`, `undoing`).

Of the last there are two that are not answered: a message that could not be verified is a stranger's, and where another
worker holds the lease, the answer is that worker's.
"""

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from steps.governance.errors import GovernanceError
from steps.governance.evidence import Evidence
from steps.governance.identity import connect
from steps.register.arguments import Arguments
from steps.register.delivery.callback_answer import Answers
from steps.register.delivery.failures import impossible, reason, unforeseen
from steps.register.delivery.lease import Lease, LeaseHeld
from steps.register.delivery.lease_guard import Guard, Interrupted
from steps.register.delivery.message import MessageRefused, parse
from steps.register.delivery.queue import Delivery, Queue
from steps.register.delivery.sagemaker_truth import Callback, State, Truth
from steps.register.delivery.stop_watch import Stopping, StopWatch
from steps.register.delivery.waiting import Waiting
from steps.register.facts import FactReader
from steps.register.register import Registration, read_record
from steps.register.undoing import LATE, Undoing

log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3  # so that one of them may fail
_MAX_LEASE_SECONDS = 40  # a stop waits that long for the lease of a worker that died
_BACKOFF_SECONDS = 2  # doubled with each attempt
_STOP_BACKOFF_SECONDS = 5  # while an execution is being stopped: each attempt


class Fate(Enum):
    """What becomes of the message."""

    DELETE = "deleted"
    GIVE_BACK = "given back"
    LEAVE = "left to the dead-letter queue"


@dataclass(frozen=True)
class Outcome:
    """The message's fate, and for GIVE_BACK how long it stays away."""

    fate: Fate
    after_seconds: int = 0


class Worker:
    """Everything a delivery needs, connected once. Creating it proves who we are, so that a wrong secret fails at
    once."""

    def __init__(self, arguments: Arguments, stop: threading.Event) -> None:
        self._arguments, self._stop = arguments, stop
        region = arguments.region
        self._workspace = connect(
            host=arguments.databricks_host, secret_id=arguments.databricks_secret_id, region=region
        )
        self.queue = Queue(
            arguments.queue_url, region, visibility_seconds=arguments.visibility_seconds
        )
        self._truth = Truth(
            region, pipeline_name=arguments.pipeline_name, queue_url=arguments.queue_url
        )
        self._facts = FactReader(region, evidence_uri=arguments.evidence_uri, truth=self._truth)
        self._answers = Answers(region, self._truth)
        self._evidence = Evidence(region)
        self._waiting = Waiting(region)
        self._undoing = Undoing(self._workspace, self._facts, self._evidence, self._answers)

    def handle(self, delivery: Delivery) -> Fate:
        """Do what the message asks for, if SageMaker says so too, and settle the message."""
        started = time.monotonic()
        outcome = self._outcome(delivery)
        if outcome.fate is Fate.DELETE:
            self.queue.delete(delivery)
        elif outcome.fate is Fate.GIVE_BACK:
            self.queue.give_back(delivery, after_seconds=outcome.after_seconds)
        log.info(
            "message %s after %.1f s (attempt %d)",
            outcome.fate.value,
            time.monotonic() - started,
            delivery.attempt,
        )
        return outcome.fate

    def _outcome(self, delivery: Delivery) -> Outcome:
        last = delivery.attempt >= self.queue.max_attempts
        try:
            message = parse(delivery.body)
            callback = self._truth.verify(message)
        except MessageRefused as error:
            log.error("ALERT %s", error)  # noqa: TRY400 - no traceback for what a stranger sent
            return Outcome(Fate.LEAVE)
        except GovernanceError as error:
            log.warning("could not verify a message: %s", error)
            whose = "a message that could not be verified"
            seconds = _backoff(delivery, stopping=message.stopping)
            return _unanswered(whose, error) if last else Outcome(Fate.GIVE_BACK, seconds)
        if callback.state in (State.SUCCEEDED, State.FAILED):
            return self._after_answer(callback)
        try:
            return self._work(callback, delivery)
        except LeaseHeld as error:
            log.info("%s %s", callback.execution_id, error.what)
            # our Failure would contradict the Success of the worker that holds it
            return (
                _unanswered(callback.execution_id, error)
                if last
                else Outcome(Fate.GIVE_BACK, error.retry_seconds)
            )
        except Interrupted as error:
            log.info("%s %s", callback.execution_id, error.what)
            return (
                self._give_up(callback, error, Fate.LEAVE)
                if last
                else self._wait(callback, delivery, error)
            )
        except Exception as error:
            if impossible(error):
                return self._give_up(callback, error, Fate.DELETE)
            log.warning(
                "%s not registered yet: %s",
                callback.execution_id,
                reason(error),
                exc_info=unforeseen(error),
            )
            return (
                self._give_up(callback, error, Fate.LEAVE)
                if last
                else self._wait(callback, delivery, error)
            )

    def _work(self, callback: Callback, delivery: Delivery) -> Outcome:
        """Register or stop, as the only worker for this execution."""
        seconds = min(self._arguments.visibility_seconds, _MAX_LEASE_SECONDS)
        lease = Lease(self._arguments.region, folder=self._folder(callback), seconds=seconds)
        beat = lambda: self.queue.keep_hidden(delivery)  # noqa: E731
        with (
            lease,
            Guard(lease, self._stop, beat=beat, every_seconds=seconds / _BEATS_PER_LEASE) as guard,
            self._watched(callback) as watch,
        ):
            self._waiting.clear(callback.execution_arn)
            try:
                if callback.state is State.OPEN:
                    self._register(callback, guard, watch)
                    return Outcome(Fate.DELETE)
            except Stopping:
                log.info("%s is being stopped", callback.execution_id)
            self._undoing.run(callback, self._folder(callback), guard)
            return Outcome(Fate.DELETE)

    def _register(self, callback: Callback, guard: Guard, watch: StopWatch) -> None:
        def confirm() -> None:
            if self._is_stopping(callback):
                raise Stopping(f"{callback.execution_arn} is being stopped")

        def may_act() -> None:
            guard.check()
            watch.check()

        registration = Registration(
            facts=self._facts.read(callback.execution_arn),
            folder=self._folder(callback),
            region=self._arguments.region,
            guard=may_act,
            confirm=confirm,
        )
        registered = registration.run(self._workspace)
        guard.check()
        if watch.answered.is_set():
            watch.check()
        self._answers.succeed(callback, registered.outputs, key=registered.key)
        log.info("%s registered as %s", callback.execution_id, registered.outputs["model_uri"])

    def _watched(self, callback: Callback) -> StopWatch:
        return StopWatch(
            lambda: self._is_stopping(callback),
            lambda: self._answer_late(callback),
            known=callback.state is State.STOPPING,
        )

    def _answer_late(self, callback: Callback) -> None:
        log.warning(
            "%s: a call did not end in time after the stop; the step is answered meanwhile",
            callback.execution_id,
        )
        self._answers.fail(callback, LATE)

    def _is_stopping(self, callback: Callback) -> bool:
        return self._truth.execution_status(callback.execution_arn) == "Stopping"

    def _wait(self, callback: Callback, delivery: Delivery, error: Exception) -> Outcome:
        """Give the message back, and say where people look what is waited for."""
        seconds = (
            0
            if isinstance(error, Interrupted)
            else _backoff(delivery, stopping=callback.state is State.STOPPING)
        )
        self._waiting.note(
            callback.execution_arn,
            reason(error),
            seconds=seconds,
            attempt=delivery.attempt + 1,
            most=self.queue.max_attempts,
        )
        return Outcome(Fate.GIVE_BACK, seconds)

    def _after_answer(self, callback: Callback) -> Outcome:
        """The step is over. A success of which we have no record is somebody else's word."""
        if (
            callback.state is State.SUCCEEDED
            and read_record(self._evidence, self._folder(callback)) is None
        ):
            log.error(
                "ALERT %s was answered with Success, and there is no record of it",
                callback.execution_arn,
            )
            return Outcome(Fate.LEAVE)
        log.info("%s was answered before", callback.execution_id)
        return Outcome(Fate.DELETE)

    def _give_up(self, callback: Callback, error: Exception, fate: Fate) -> Outcome:
        alert = "ALERT " if fate is Fate.LEAVE else ""
        log.error("%s%s cannot be registered: %s", alert, callback.execution_id, reason(error))
        self._answers.fail(callback, reason(error))
        return Outcome(fate)

    def _folder(self, callback: Callback) -> str:
        return f"{self._arguments.evidence_uri}/{callback.execution_id}/register"


def _unanswered(whose: str, error: GovernanceError) -> Outcome:
    log.error(
        "ALERT %s goes to the dead-letter queue unanswered; if its step still waits, redrive it: %s",
        whose,
        error,
    )
    return Outcome(Fate.LEAVE)


def _backoff(delivery: Delivery, *, stopping: bool = False) -> int:
    """Seconds until the next attempt; a person who stops an execution is not kept waiting for it."""
    return (
        _STOP_BACKOFF_SECONDS if stopping else _BACKOFF_SECONDS * 2 ** min(delivery.attempt - 1, 8)
    )
