"""One delivery of one message, from its body to what becomes of it.

Worker(arguments, stop).handle(delivery)

refused       the message says what SageMaker does not      not answered; for the dead-letter queue; one ALERT line
answered      somebody was here before                      deleted
stopping      the execution is being stopped                what is unfinished is undone, Failure, deleted
registered    the model stands                              Success, deleted
impossible    bad artifact, missing privilege               Failure with the reason, deleted
not now       no answer, lease held, asked to stop          given back to the queue
not ever      "not now" for the last time                   Failure with the reason; for the dead-letter queue; one ALERT line

Of the last there are two that are not answered: a message that could not be verified is a stranger's, and where another
worker holds the lease, the answer is that worker's.
"""

import logging
import threading
import time
from dataclasses import dataclass
from enum import Enum

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    IntegrityError,
    InvalidRequest,
    NotFound,
    UsageError,
)
from steps.governance.evidence import Evidence
from steps.governance.identity import connect
from steps.governance.names import UcName
from steps.register.answer import Answers
from steps.register.arguments import Arguments
from steps.register.artifact import Artifact
from steps.register.facts import FactReader
from steps.register.guard import Guard, Interrupted
from steps.register.lease import Lease, LeaseHeld
from steps.register.message import MessageRefused, parse
from steps.register.queue import Delivery, Queue
from steps.register.register import Registration, read_record
from steps.register.registry import Registry
from steps.register.truth import Callback, State, Truth

log = logging.getLogger(__name__)

# The work itself cannot be done, now or later: the pipeline is told. Everything else may be better next time.
_IMPOSSIBLE = (IntegrityError, AccessDenied, Conflict, InvalidRequest, NotFound, UsageError)
_BEATS_PER_TIMEOUT = 3  # so that one of them may fail
_BACKOFF_SECONDS = 2  # doubled with each attempt


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


class Stopping(GovernanceError):
    """The execution is being stopped while we work on it."""


class Worker:
    """Everything a delivery needs, connected once. Creating it proves who we are, so that a wrong secret fails at
    once."""

    def __init__(self, arguments: Arguments, stop: threading.Event) -> None:
        self._arguments, self._stop = arguments, stop
        region = arguments.region
        self._workspace = connect(
            host=arguments.databricks_host, secret_id=arguments.databricks_secret_id, region=region
        )
        self.queue = Queue(arguments.queue_url, region, visibility_seconds=arguments.visibility_seconds)
        self._truth = Truth(region, pipeline_name=arguments.pipeline_name, queue_url=arguments.queue_url)
        self._facts = FactReader(region, evidence_uri=arguments.evidence_uri, truth=self._truth)
        self._answers = Answers(region, self._truth)
        self._evidence = Evidence(region)

    def handle(self, delivery: Delivery) -> Fate:
        """Do what the message asks for, if SageMaker says so too, and settle the message."""
        started = time.monotonic()
        outcome = self._outcome(delivery)
        if outcome.fate is Fate.DELETE:
            self.queue.delete(delivery)
        elif outcome.fate is Fate.GIVE_BACK:
            self.queue.give_back(delivery, after_seconds=outcome.after_seconds)
        log.info(
            "message %s after %.1f s (attempt %d)", outcome.fate.value, time.monotonic() - started, delivery.attempt
        )
        return outcome.fate

    def _outcome(self, delivery: Delivery) -> Outcome:
        last = delivery.attempt >= self.queue.max_attempts
        try:
            callback = self._truth.verify(parse(delivery.body))
        except MessageRefused as error:
            log.error("ALERT %s", error)  # noqa: TRY400 - no traceback for what a stranger sent
            return Outcome(Fate.LEAVE)
        except GovernanceError as error:
            log.warning("could not verify a message: %s", error)
            return _unanswered("a message that could not be verified", error) if last else _later(delivery)
        if callback.state in (State.SUCCEEDED, State.FAILED):
            return self._after_answer(callback)
        try:
            return self._work(callback, delivery)
        except LeaseHeld as error:
            log.info("%s %s", callback.execution_id, error.what)
            # our Failure would contradict the Success of the worker that holds it
            return _unanswered(callback.execution_id, error) if last else Outcome(Fate.GIVE_BACK, error.retry_seconds)
        except Interrupted as error:
            log.info("%s %s", callback.execution_id, error.what)
            return self._give_up(callback, error, Fate.LEAVE) if last else Outcome(Fate.GIVE_BACK)
        except _IMPOSSIBLE as error:
            return self._give_up(callback, error, Fate.DELETE)
        except Exception as error:
            log.warning("%s not registered yet: %s", callback.execution_id, _told(error), exc_info=_unforeseen(error))
            return self._give_up(callback, error, Fate.LEAVE) if last else _later(delivery)

    def _work(self, callback: Callback, delivery: Delivery) -> Outcome:
        """Register or stop, as the only worker for this execution."""
        seconds = self._arguments.visibility_seconds
        lease = Lease(self._arguments.region, folder=self._folder(callback), seconds=seconds)
        with (
            lease,
            Guard(
                lease,
                self._stop,
                beat=lambda: self.queue.keep_hidden(delivery),
                every_seconds=seconds / _BEATS_PER_TIMEOUT,
            ) as guard,
        ):
            try:
                if callback.state is State.OPEN:
                    self._register(callback, guard)
                    return Outcome(Fate.DELETE)
            except Stopping:
                log.info("%s is being stopped", callback.execution_id)
            self._undo(callback, guard)
            return Outcome(Fate.DELETE)

    def _register(self, callback: Callback, guard: Guard) -> None:
        def confirm() -> None:
            if self._truth.execution_status(callback.execution_arn) == "Stopping":
                raise Stopping(f"{callback.execution_arn} is being stopped")

        registration = Registration(
            facts=self._facts.read(callback.execution_arn),
            folder=self._folder(callback),
            region=self._arguments.region,
            guard=guard.check,
            confirm=confirm,
        )
        registered = registration.run(self._workspace)
        guard.check()
        self._answers.succeed(callback, registered.outputs, key=registered.key)
        log.info("%s registered as %s", callback.execution_id, registered.outputs["model_uri"])

    def _undo(self, callback: Callback, guard: Guard) -> None:
        """Let a stopped execution end, with every version of it gone or with a record that says what stays.

        A version without a record has no alias yet, so nobody can have come to rely on it.
        """
        record = read_record(self._evidence, self._folder(callback))
        if record is None:
            self._discard_versions(callback, guard)
            reason = "stopped on request before the model was registered"
        else:
            name, version, alias = UcName.parse(record.model.name), record.model.version, record.model.alias
            is_set = Registry(self._workspace).has_alias(name, alias, version)
            reason = f"stopped after version {version} was recorded; alias {alias} {'set' if is_set else 'not set'}"
        guard.check()
        self._answers.fail(callback, reason)

    def _discard_versions(self, callback: Callback, guard: Guard) -> None:
        try:
            pinned = Artifact.from_bytes(self._evidence.read(f"{self._folder(callback)}/artifact.json"))
        except NotFound:
            return  # nothing was begun
        name = self._facts.execution(callback.execution_arn).name("ModelName")
        Registry(self._workspace).discard(name, pinned.source, guard.check, ready_too=True)

    def _after_answer(self, callback: Callback) -> Outcome:
        """The step is over. A success of which we have no record is somebody else's word."""
        if callback.state is State.SUCCEEDED and read_record(self._evidence, self._folder(callback)) is None:
            log.error("ALERT %s was answered with Success, and there is no record of it", callback.execution_arn)
            return Outcome(Fate.LEAVE)
        log.info("%s was answered before", callback.execution_id)
        return Outcome(Fate.DELETE)

    def _give_up(self, callback: Callback, error: Exception, fate: Fate) -> Outcome:
        alert = "ALERT " if fate is Fate.LEAVE else ""
        log.error("%s%s cannot be registered: %s", alert, callback.execution_id, _told(error))
        self._answers.fail(callback, _told(error))
        return Outcome(fate)

    def _folder(self, callback: Callback) -> str:
        return f"{self._arguments.evidence_uri}/{callback.execution_id}/register"


def _unanswered(whose: str, error: GovernanceError) -> Outcome:
    log.error(
        "ALERT %s goes to the dead-letter queue unanswered; if its step still waits, redrive it: %s", whose, error
    )
    return Outcome(Fate.LEAVE)


def _later(delivery: Delivery) -> Outcome:
    return Outcome(Fate.GIVE_BACK, _BACKOFF_SECONDS * 2 ** min(delivery.attempt - 1, 8))


def _unforeseen(error: Exception) -> bool:
    return not isinstance(error, GovernanceError)


def _told(error: Exception) -> str:
    """Our own messages hold no secret; of any other error only the class is told."""
    return (
        str(error)
        if isinstance(error, GovernanceError)
        else f"an unforeseen {type(error).__name__}; see the worker's log"
    )
