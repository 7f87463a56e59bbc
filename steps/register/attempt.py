"""One attempt to register one execution, or to end it if it is being stopped.

    Attempt(services, arguments, stop, delivery, callback).run()

The attempt holds the execution's lease, so no other worker acts at the same time. Two threads run
until it ends: the heartbeat renews the lease and keeps the message hidden, and the stop watch asks
SageMaker whether the execution is being stopped. If it is, what is unfinished is undone instead.
"""

import logging
import threading
from dataclasses import dataclass

from steps.governance.record import RegisterFacts
from steps.register import run_events
from steps.register.arguments import Arguments
from steps.register.delivery.lease import Lease
from steps.register.delivery.lease_guard import Guard
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State
from steps.register.delivery.stop_watch import Stopping, StopWatch
from steps.register.register import Registration
from steps.register.services import Services
from steps.register.undoing import LATE, Undoing

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

    def run(self) -> None:
        """Register the model and answer the step, or undo and answer with Failure.

        Raises:
            LeaseHeld: another worker works on this execution.
            Interrupted: the worker must end.
            GovernanceError: the registration failed; `failures.impossible` decides what follows.
        """
        seconds = min(self.arguments.visibility_seconds, MAX_LEASE_SECONDS)
        lease = Lease(self.arguments.region, folder=self._folder, seconds=seconds)
        guard = Guard(
            lease, self.stop, beat=self._keep_hidden, every_seconds=seconds / _BEATS_PER_LEASE
        )
        with lease, guard, self._watch() as watch:
            self.services.waiting.clear(self.callback.execution_arn)
            try:
                if self.callback.state is State.OPEN:
                    self._register(guard, watch)
                    return
            except Stopping:
                log.info("%s is being stopped", self.callback.execution_id)
            services = self.services
            undoing = Undoing(
                workspace=services.workspace,
                facts=services.facts,
                evidence=services.evidence,
                answers=services.answers,
                signing=services.signing,
            )
            undoing.run(self.callback, self._folder, guard)

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

    def _answer_late(self) -> None:
        log.warning(
            "%s: a call did not end in time after the stop; the step is answered meanwhile",
            self.callback.execution_id,
        )
        self.services.answers.fail(self.callback, LATE)
