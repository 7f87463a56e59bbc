"""Handle one delivery of one message: verify it, attempt the registration, settle the message.

    fate = Worker(arguments, stop).handle(delivery)

case        when                                  answer to the step      message
refused     SageMaker does not confirm it         none                    dead-letter queue, ALERT
answered    the step was answered before          none                    deleted
stopping    the execution is being stopped        Failure, after undoing  deleted
registered  the model is registered               Success                 deleted
completed   answered, and asked to reconcile       none                    deleted
impossible  bad artifact, missing privilege       Failure with reason     deleted
not now     no answer, lease held, SIGTERM        none                    given back to the queue
given up    "not now" for six hours               Failure with reason     deleted, ALERT
last time   "not now" on a message's last receive Failure with reason     dead-letter queue, ALERT

In the case "not now" the execution's description shows the reason (`delivery.waiting`), unless
another worker holds the lease. An object that the workspace does not find, such as a schema that
was dropped, is "not now": somebody may create it again. A stop is noticed in each of these cases
and ends within a minute (`delivery.stop_watch`, `undoing`).

"Given up" is decided by the time since the message's first receive (`delivery.patience`), six hours
unless `--give-up-after-seconds` states another. "Last time" is a bound far above the receives that
fit into it. It has two exceptions that are not answered: a message that could not be verified, and
an execution whose lease another worker holds, since that worker answers it. A log line that begins
with ALERT needs a person.
"""

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from steps.governance.errors import GovernanceError
from steps.register.arguments import Arguments
from steps.register.attempt import Attempt, evidence_folder
from steps.register.completion.completing import Completion
from steps.register.delivery.failures import impossible, reason, unforeseen
from steps.register.delivery.lease import LeaseHeld
from steps.register.delivery.lease_guard import Interrupted
from steps.register.delivery.message import Message, MessageRefused, parse
from steps.register.delivery.patience import Patience
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State
from steps.register.register import read_record
from steps.register.services import Services

log = logging.getLogger(__name__)

_BACKOFF_SECONDS = 2  # doubled with each attempt
_STOP_BACKOFF_SECONDS = 5  # for each attempt while an execution is being stopped


class Fate(Enum):
    """What becomes of the message."""

    DELETE = "deleted"
    GIVE_BACK = "given back"
    LEAVE = "left to the dead-letter queue"


@dataclass(frozen=True)
class Outcome:
    """The message's fate, and for GIVE_BACK the seconds until it is delivered again."""

    fate: Fate
    after_seconds: int = 0


class Worker:
    """Handles one message after the other.

    Creating it connects to all services, so a wrong secret fails at once. `stop` is set when the
    worker must end.
    """

    def __init__(self, arguments: Arguments, stop: threading.Event) -> None:
        self._arguments, self._stop = arguments, stop
        self.services = Services.connected(arguments)
        self.patience = Patience(arguments.give_up_after_seconds)
        self.queue = self.services.queue

    def handle(self, delivery: Delivery) -> Fate:
        """Do what the message asks for, if SageMaker confirms it, and settle the message."""
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
        try:
            message = parse(delivery.body)
        except MessageRefused as error:
            return _refused(error)
        try:
            callback = self.services.truth.verify(message)
        except MessageRefused as error:
            return _refused(error)
        except GovernanceError as error:
            return self._not_verified(message, delivery, error)
        if callback.state in (State.SUCCEEDED, State.FAILED):
            outcome = self._after_answer(callback)
            if message.reconcile and outcome.fate is Fate.DELETE:
                return self._completed(callback, delivery)
            return outcome
        return self._attempt(callback, delivery)

    def _attempt(self, callback: Callback, delivery: Delivery) -> Outcome:
        try:
            Attempt(self.services, self._arguments, self._stop, delivery, callback).run()
        except LeaseHeld as error:
            log.info("%s %s", callback.execution_id, error.what)
            if self._is_last(delivery):
                # Our Failure would contradict the Success of the worker that holds the lease.
                return _unanswered(callback.execution_id, error)
            return Outcome(Fate.GIVE_BACK, error.retry_seconds)
        except Interrupted as error:
            log.info("%s %s", callback.execution_id, error.what)
            return self._not_now(callback, delivery, error)
        except Exception as error:
            if impossible(error):
                return self._give_up(callback, error, Fate.DELETE)
            log.warning(
                "%s not registered yet: %s",
                callback.execution_id,
                reason(error),
                exc_info=unforeseen(error),
            )
            return self._not_now(callback, delivery, error)
        return Outcome(Fate.DELETE)

    def _completed(self, callback: Callback, delivery: Delivery) -> Outcome:
        try:
            Completion(self.services, self._arguments, self._stop, delivery, callback).run()
        except LeaseHeld as error:
            return Outcome(Fate.GIVE_BACK, error.retry_seconds)
        except Interrupted:
            return Outcome(Fate.GIVE_BACK)
        except Exception as error:
            log.warning(
                "%s is not complete: %s",
                callback.execution_id,
                reason(error),
                exc_info=unforeseen(error),
            )
            if impossible(error) or unforeseen(error) or self._is_last(delivery):
                return Outcome(Fate.DELETE)  # `pipeline.reconcile` shows what is left
            return Outcome(Fate.GIVE_BACK, _backoff(delivery))
        log.info("%s is complete", callback.execution_id)
        return Outcome(Fate.DELETE)

    def _not_verified(
        self, message: Message, delivery: Delivery, error: GovernanceError
    ) -> Outcome:
        log.warning("could not verify a message: %s", error)
        if self._is_last(delivery):
            return _unanswered("a message that could not be verified", error)
        return Outcome(Fate.GIVE_BACK, _backoff(delivery, stopping=message.stopping))

    def _not_now(self, callback: Callback, delivery: Delivery, error: Exception) -> Outcome:
        """Give the message back with a note of the reason, or give up when its time is over."""
        if self._is_last(delivery):
            return self._give_up(callback, error, Fate.LEAVE, alert=True)
        if self.patience.is_over(delivery):
            return self._give_up(callback, error, Fate.DELETE, alert=True)
        seconds = 0
        if not isinstance(error, Interrupted):
            seconds = _backoff(delivery, stopping=callback.state is State.STOPPING)
            seconds = self.patience.shortened(seconds, delivery)
        end = f"{self.patience.ends(delivery):%Y-%m-%d %H:%M} UTC"
        log.warning("%s waits %d s, gives up at %s", callback.execution_id, seconds, end)
        self.services.waiting.note(
            callback.execution_arn,
            f"{reason(error)}\ngives up at {end}",
            seconds=seconds,
            attempt=delivery.attempt + 1,
            most=self.queue.max_attempts,
        )
        return Outcome(Fate.GIVE_BACK, seconds)

    def _after_answer(self, callback: Callback) -> Outcome:
        """Delete the message of a step that was answered before.

        A Success without a record was sent by somebody else: the message is kept, with an ALERT.
        """
        folder = evidence_folder(self._arguments, callback)
        has_record = read_record(self.services.evidence, folder) is not None
        if callback.state is State.SUCCEEDED and not has_record:
            log.error(
                "ALERT %s was answered with Success, but no record exists",
                callback.execution_arn,
            )
            return Outcome(Fate.LEAVE)
        log.info("%s was answered before", callback.execution_id)
        return Outcome(Fate.DELETE)

    def _give_up(
        self, callback: Callback, error: Exception, fate: Fate, *, alert: bool = False
    ) -> Outcome:
        mark = "ALERT " if alert else ""
        log.error("%s%s cannot be registered: %s", mark, callback.execution_id, reason(error))
        self.services.answers.fail(callback, reason(error))
        return Outcome(fate)

    def _is_last(self, delivery: Delivery) -> bool:
        """Whether the queue will not deliver this message again."""
        return delivery.attempt >= self.queue.max_attempts


def _refused(error: MessageRefused) -> Outcome:
    log.error("ALERT %s", error)
    return Outcome(Fate.LEAVE)


def _unanswered(subject: str, error: GovernanceError) -> Outcome:
    log.error(
        "ALERT %s goes to the dead-letter queue unanswered; "
        "if its step still waits, redrive it: %s",
        subject,
        error,
    )
    return Outcome(Fate.LEAVE)


def _backoff(delivery: Delivery, *, stopping: bool = False) -> int:
    """Return the seconds until the next attempt: few during a stop, which a person waits for."""
    if stopping:
        return _STOP_BACKOFF_SECONDS
    return _BACKOFF_SECONDS * (1 << min(delivery.attempt - 1, 8))
