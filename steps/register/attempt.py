"""One attempt to register one execution, or to end it.

    attempt = Attempt(services, arguments, stop, delivery, callback)
    attempt.run()                       # register, or undo what a stop leaves unfinished
    attempt.fail(reason, last=False)    # after `run` failed
    attempt.after_failure()             # of a step that was answered with Failure before

The attempt holds the execution's lease, so no other worker acts at the same time. Two threads run
until it ends: the heartbeat renews the lease and keeps the message hidden, and the stop watch asks
SageMaker whether the execution is being stopped. If it is, what is unfinished is undone instead.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from steps.governance import full_disk
from steps.governance.documents.record import RegisterFacts
from steps.register import run_events
from steps.register.arguments import Arguments
from steps.register.delivery.lease import Lease, new_owner
from steps.register.delivery.lease_guard import Guard
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State
from steps.register.delivery.stop_watch import Stopping, StopWatch
from steps.register.ends.ending import End, Ending
from steps.register.ends.standing import Standing
from steps.register.ends.undoing import LATE, Undoing
from steps.register.register import Registration, read_record
from steps.register.services import Services

log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3  # so that one of them may fail
MAX_LEASE_SECONDS = 40  # a stop waits at most that long for the lease of a worker that died


def evidence_folder(arguments: Arguments, callback: Callback) -> str:
    """Return the URI of the folder that holds Register's evidence of one execution."""
    return f"{arguments.evidence_uri}/{callback.execution_id}/register"


@dataclass(frozen=True)
class Attempt:
    """One delivery of a confirmed message. `stop` is set when the worker must end."""

    services: Services
    arguments: Arguments
    stop: threading.Event
    delivery: Delivery
    callback: Callback

    owner: str = field(default_factory=new_owner)

    def run(self) -> bool:
        """Register the model and answer the step, or undo and answer; return whether all is done.

        Raises:
            LeaseHeld: another worker works on this execution.
            Interrupted: the worker must end.
            GovernanceError: the registration failed; `failures.impossible` decides what follows.
        """
        with self._guarded(self.stop) as guard, self._watch() as watch:
            self.services.waiting.clear(self.callback.execution_arn)
            try:
                if self.callback.state is State.OPEN:
                    with full_disk.explained(do="give the register worker a larger disk"):
                        self._register(guard, watch)
                    return True
            except Stopping:
                log.info("%s is being stopped", self.callback.execution_id)
            undoing = Undoing(self._standing, self.services.answers)
            return undoing.run(self.callback, self._folder, guard)

    def fail(self, reason: str, *, last: bool) -> End:
        """Answer with Failure if no registration is left; a last receive is not interrupted.

        Raises:
            LeaseHeld: another worker works on this execution.
            GovernanceError: what is stored is not known, or could not be taken back.
        """
        ending = Ending(self._standing, self.services.answers)
        with self._guarded(threading.Event() if last else self.stop) as guard:
            return ending.fail(self.callback, self._folder, guard.check, reason=reason, last=last)

    def after_failure(self) -> bool:
        """Take back what a failed execution left; return False if a person must decide.

        Raises:
            LeaseHeld: another worker works on this execution.
            GovernanceError: something may be left.
        """
        standing = self._standing
        if standing.record(self._folder) is None and not standing.begun(self._folder):
            return True
        ending = Ending(standing, self.services.answers)
        with self._guarded(self.stop) as guard:
            return ending.after_failure(self.callback, self._folder, guard.check)

    @contextmanager
    def _guarded(self, stop: threading.Event) -> Iterator[Guard]:
        """Hold the execution's lease, and hide the message, until the block ends."""
        seconds = min(self.arguments.visibility_seconds, MAX_LEASE_SECONDS)
        lease = Lease(self.arguments.region, folder=self._folder, seconds=seconds, owner=self.owner)
        beats = seconds / _BEATS_PER_LEASE
        with lease, Guard(lease, stop, beat=self._keep_hidden, every_seconds=beats) as guard:
            yield guard

    @property
    def _standing(self) -> Standing:
        services = self.services
        return Standing(services.workspace, services.facts, services.evidence, services.signing)

    def _register(self, guard: Guard, watch: StopWatch) -> None:
        def check() -> None:
            guard.check()
            watch.check()

        registration = Registration(
            facts=self.services.facts.read(self.callback.execution_arn),
            folder=self._folder,
            region=self.arguments.region,
            guard=check,
            confirm=self._confirm,
            worker=RegisterFacts(image=self.arguments.image, build=self.services.build),
            signing=self.services.signing,
        )
        target = self.arguments.openlineage
        registered = run_events.reported(registration, target, self.services.workspace)
        guard.check()
        if watch.answered.is_set():
            watch.check()
        self.services.answers.succeed(self.callback, registered.outputs, key=registered.key)
        uri = registered.outputs["model_uri"]
        log.info("%s registered as %s", self.callback.execution_id, uri)

    @property
    def _folder(self) -> str:
        return evidence_folder(self.arguments, self.callback)

    def _keep_hidden(self) -> None:
        self.services.queue.keep_hidden(self.delivery)

    def _watch(self) -> StopWatch:
        return StopWatch(
            self._is_stopping, self._answer_late, known=self.callback.state is State.STOPPING
        )

    def _confirm(self) -> None:
        """Ask SageMaker now; the stop watch may notice a stop some seconds later.

        Raises:
            Stopping: the execution is being stopped.
        """
        if self._is_stopping():
            raise Stopping(f"{self.callback.execution_arn} is being stopped")

    def _is_stopping(self) -> bool:
        return self.services.truth.execution_status(self.callback.execution_arn) == "Stopping"

    def _answer_late(self) -> bool:
        """Answer while a call hangs, unless there is a record: the answer may be Success then."""
        if read_record(self.services.evidence, self._folder) is not None:
            return False
        log.warning(
            "%s: a call did not end in time after the stop; the step is answered meanwhile",
            self.callback.execution_id,
        )
        self.services.answers.fail(self.callback, LATE)
        return True
