"""Handle one delivery of one message: verify it, attempt the registration, settle the message.

    fate = Worker(arguments, stop).handle(delivery)

case        when                                  answer to the step      message
refused     SageMaker does not confirm it         none                    dead-letter queue, ALERT
answered    the step was answered before          none                    deleted, after undoing
stopping    the execution is being stopped        `undoing` decides       deleted, or kept to undo
registered  the model is registered               Success                 deleted
completed   answered, and asked to reconcile      none                    deleted
impossible  bad artifact, missing privilege       `ending` decides        deleted, or given back
not now     no answer, lease held, SIGTERM        none                    given back to the queue
given up    "not now" for six hours               `ending` decides        deleted, ALERT
last time   any failure on its last receive       `ending` decides        dead-letter queue, ALERT

In the case "not now" the execution's description shows the reason (`delivery.waiting`), unless
another worker holds the lease. An object that the workspace does not find, such as a schema that
was dropped, is "not now": somebody may create it again. A stop is noticed in each of these cases
and ends within a minute (`delivery.stop_watch`, `undoing`).

A Failure is answered only if no registration is left, and at the end no version is left without
record and alias, unless it is tagged as withdrawn: `ends.ending` and `ends.undoing` have the table.
"Given up" is decided by the time since the message's first receive (`delivery.patience`), six hours
unless `--give-up-after-seconds` states another. "Last time" is a bound far above the receives that
fit into it. What could not be verified, and what another worker holds the lease of, is not answered
even then. A log line that begins with ALERT needs a person. A message that is left to the
dead-letter queue logs one at receive 1, 2, 4, 8, … and at the last (`delivery.fate`).
"""

import logging
import threading
import time

from steps.governance import logs
from steps.governance.alerts import Alert, alert
from steps.governance.names import execution_id
from steps.governance.unity_catalog.budgets import CONNECTING_SECONDS
from steps.register.arguments import Arguments
from steps.register.attempt import Attempt, evidence_folder
from steps.register.completion.completing import Completion
from steps.register.completion.handling import handle
from steps.register.delivery.failures import impossible, reason, unforeseen
from steps.register.delivery.fate import Fate, Outcome, contradicted, refused, unanswered
from steps.register.delivery.lease import LeaseHeld
from steps.register.delivery.lease_guard import Interrupted
from steps.register.delivery.message import Message, MessageRefused, parse
from steps.register.delivery.patience import Patience
from steps.register.delivery.propagation import despite_propagation
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State
from steps.register.ends.ending import End
from steps.register.register import read_record
from steps.register.services import Services

log = logging.getLogger(__name__)

_BACKOFF_SECONDS = 2  # doubled with each attempt
_STOP_BACKOFF_SECONDS = 5  # for each attempt while an execution is being stopped


class Worker:
    """Handles one message after the other.

    Creating it connects to all services, so a wrong secret fails at once; a workspace that does not
    answer is waited for `connecting_seconds`. `stop` is set when the worker must end.
    """

    def __init__(
        self,
        arguments: Arguments,
        stop: threading.Event,
        connecting_seconds: float = CONNECTING_SECONDS,
    ) -> None:
        self._arguments, self._stop = arguments, stop
        self.services = Services.connected(arguments, connecting_seconds)
        self.patience = Patience(arguments.give_up_after_seconds)
        self.queue = self.services.queue

    @logs.message()
    def handle(self, delivery: Delivery) -> Fate:
        """Do what the message asks for, if SageMaker confirms it, and settle the message."""
        started = time.monotonic()
        outcome = self._outcome(delivery)
        if outcome.fate is Fate.DELETE:
            self.queue.delete(delivery)
        elif outcome.fate is Fate.GIVE_BACK:
            self.queue.give_back(delivery, after_seconds=outcome.after_seconds)
        seconds = time.monotonic() - started
        text = "message %s after %.1f s (attempt %d)"
        log.info(text, outcome.fate.value, seconds, delivery.attempt)
        return outcome.fate

    def _outcome(self, delivery: Delivery) -> Outcome:
        try:
            message = parse(delivery.body)
        except MessageRefused as error:
            return refused(error, delivery, self.queue.max_attempts)
        logs.set_execution(execution_id(message.execution_arn))
        try:
            callback = self.services.truth.verify(message)
        except MessageRefused as error:
            return refused(error, delivery, self.queue.max_attempts)
        except Exception as error:  # noqa: BLE001 - `_not_verified` logs it; the worker continues
            return self._not_verified(message, delivery, error)
        if callback.closed:
            outcome = self._after_answer(callback, delivery)
            if message.reconcile and outcome.fate is Fate.DELETE:
                completion = Completion(
                    self.services, self._arguments, self._stop, delivery, callback
                )
                last, pause = self._is_last(delivery), _backoff(delivery)
                return handle(completion, last=last, pause_seconds=pause)
            return outcome
        return self._attempt(callback, delivery)

    def _attempt(self, callback: Callback, delivery: Delivery) -> Outcome:
        attempt = Attempt(self.services, self._arguments, self._stop, delivery, callback)
        try:
            undone = self._run(attempt)
        except LeaseHeld as error:
            return self._held(attempt, error)
        except Interrupted as error:
            log.info("%s %s", callback.execution_id, error.what)
            return self._not_now(attempt, error)
        except Exception as error:  # noqa: BLE001 - logged; the worker continues
            if impossible(error):
                return self._give_up(attempt, error)
            _warn(callback.execution_id, "not registered yet", error)
            return self._not_now(attempt, error)
        if undone:
            return Outcome(Fate.DELETE)
        return self._keep(delivery, _STOP_BACKOFF_SECONDS)

    def _run(self, attempt: Attempt) -> bool:
        def wait(seconds: int) -> None:
            self.queue.keep_hidden(attempt.delivery)
            self._stop.wait(seconds)

        return despite_propagation(attempt.run, wait, attempt.callback.execution_id)

    def _held(self, attempt: Attempt, error: LeaseHeld) -> Outcome:
        """Another worker works on this execution."""
        name = attempt.callback.execution_id
        log.info("%s %s", name, error.what)
        if self._is_last(attempt.delivery):
            # Our Failure would contradict the Success of the worker that holds the lease.
            return unanswered(name, error)
        return Outcome(Fate.GIVE_BACK, error.retry_seconds)

    def _not_verified(self, message: Message, delivery: Delivery, error: Exception) -> Outcome:
        log.warning("could not verify a message: %s", reason(error), exc_info=unforeseen(error))
        if self._is_last(delivery):
            return unanswered("a message that could not be verified", error)
        return Outcome(Fate.GIVE_BACK, _backoff(delivery, stopping=message.stopping))

    def _not_now(self, attempt: Attempt, error: Exception) -> Outcome:
        """Give the message back, or give up on its last receive or when its time is over."""
        over = self._is_over(attempt.delivery)
        return self._give_up(attempt, error) if over else self._give_back(attempt, error)

    def _give_back(self, attempt: Attempt, error: Exception) -> Outcome:
        """Give the message back with a note of the reason."""
        callback, delivery = attempt.callback, attempt.delivery
        seconds = 0
        if not isinstance(error, Interrupted):
            seconds = _backoff(delivery, stopping=callback.state is State.STOPPING)
            if not self.patience.is_over(delivery):  # else it is registered, and answered later
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

    def _give_up(self, attempt: Attempt, error: Exception) -> Outcome:
        """Answer with Failure unless a registration is stored or cannot be taken back."""
        name, last = attempt.callback.execution_id, self._is_last(attempt.delivery)
        try:
            end = attempt.fail(reason(error), last=self._is_over(attempt.delivery))
        except LeaseHeld as held:
            return self._held(attempt, held)
        except Exception as failure:  # noqa: BLE001 - logged; the worker continues
            _warn(name, "failed and is not answered yet", failure)
            end = End.LATER
        if end is End.LATER:
            return unanswered(name, error) if last else self._give_back(attempt, error)
        final = impossible(error) and end is End.AGREED
        if final:
            log.error("%s cannot be registered: %s", name, reason(error))
        else:
            alert(Alert.REGISTRATION_GIVEN_UP, "%s cannot be registered: %s", name, reason(error))
        given_up = end is End.AGREED and not last
        return Outcome(Fate.DELETE if final or given_up else Fate.LEAVE)

    def _after_answer(self, callback: Callback, delivery: Delivery) -> Outcome:
        """Delete the message of a step that was answered before, once the registry agrees.

        A Success without a record was sent by somebody else, and a Failure with record and alias
        too: the message is kept, with an ALERT. After a stop both answers are possible.
        """
        attempt = Attempt(self.services, self._arguments, self._stop, delivery, callback)
        folder = evidence_folder(self._arguments, callback)
        try:
            if callback.state is State.SUCCEEDED:
                agreed = read_record(self.services.evidence, folder) is not None
            else:
                agreed = attempt.after_failure() or callback.state is State.STOPPED
        except LeaseHeld as error:
            return self._held(attempt, error)
        except Exception as error:  # noqa: BLE001 - logged; the worker continues
            _warn(callback.execution_id, "was answered; what it left is not known yet", error)
            return self._keep(delivery, _backoff(delivery))
        if not agreed:
            return contradicted(callback, delivery, self.queue.max_attempts)
        log.info("%s was answered before", callback.execution_id)
        return Outcome(Fate.DELETE)

    def _keep(self, delivery: Delivery, seconds: int) -> Outcome:
        """Give the message of an answered step back, since something may be left."""
        if self._is_last(delivery):
            return Outcome(Fate.LEAVE)
        return Outcome(Fate.GIVE_BACK, seconds)

    def _is_over(self, delivery: Delivery) -> bool:
        return self._is_last(delivery) or self.patience.is_over(delivery)

    def _is_last(self, delivery: Delivery) -> bool:
        """Whether the queue will not deliver this message again."""
        return delivery.attempt >= self.queue.max_attempts


def _backoff(delivery: Delivery, *, stopping: bool = False) -> int:
    """Return the seconds until the next attempt: few during a stop, which a person waits for."""
    if stopping:
        return _STOP_BACKOFF_SECONDS
    return _BACKOFF_SECONDS * (1 << min(delivery.attempt - 1, 8))


def _warn(name: str, what: str, error: Exception) -> None:
    log.warning("%s %s: %s", name, what, reason(error), exc_info=unforeseen(error))
