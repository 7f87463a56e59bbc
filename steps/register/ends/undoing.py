"""End a registration that is being stopped: undo what is unfinished, and answer the step.

    undone = Undoing(standing, answers).run(callback, folder, guard)

what is stored                        answer
no version                           Failure
a version without record             Failure, after it was deleted: nobody can use it yet
a version with record, no alias      Failure, after it was tagged `withdrawn`; signature and ledger
                                     entry are completed
a version with record and alias      Success: it was registered before the stop
not known: no answer within 15 s     Failure, and an ALERT; the message stays, and the next delivery
                                     undoes what was left
"""

import logging
import time
from dataclasses import dataclass

from steps.governance.alerts import Alert, alert
from steps.governance.errors import GovernanceError
from steps.register.delivery.callback_answer import Answers
from steps.register.delivery.lease import LeaseLost
from steps.register.delivery.lease_guard import Guard, Interrupted
from steps.register.delivery.sagemaker_truth import Callback
from steps.register.ends.standing import Standing
from steps.register.page.links import Links
from steps.register.register import registered

log = logging.getLogger(__name__)

# the reason for the step when a call takes longer than StopWatch waits
LATE = "stopped on request; what was begun is still being undone, see the register worker's log"
_TRY_SECONDS = 15.0  # how long undoing is repeated
_PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Undoing:
    """What is stored, and the answers to steps."""

    standing: Standing
    answers: Answers

    def run(self, callback: Callback, folder: str, guard: Guard) -> bool:
        """Undo what can be undone and answer the step; return whether nothing is left to undo.

        Raises:
            Interrupted: the worker must end; the next delivery continues.
            LeaseLost: another worker may act now.
        """
        deadline = time.monotonic() + _TRY_SECONDS
        # Each call takes at most a third of the time for undoing: a person waits.
        standing = self.standing.within(_TRY_SECONDS / 3)
        while True:
            try:
                self._end(standing, callback, folder, guard)
            except (Interrupted, LeaseLost):
                raise
            except GovernanceError as error:
                if time.monotonic() >= deadline:
                    guard.check()
                    self._give_up(callback, error)
                    return False
                name = callback.execution_id
                log.warning("%s is being stopped, and cannot be undone yet: %s", name, error)
                time.sleep(_PAUSE_SECONDS)
            else:
                return True

    def _end(self, standing: Standing, callback: Callback, folder: str, guard: Guard) -> None:
        record = standing.record(folder)
        if record is None:
            standing.discard(callback, folder, guard.check)
            guard.check()
            self.answers.fail(callback, "stopped on request before the model was registered")
            return
        standing.signing.complete(standing.evidence, folder, record, guard.check)
        if standing.is_published(record):
            links = Links(standing.workspace.host, standing.evidence.region, folder)
            done = registered(record, links, standing.trained(record, folder))
            guard.check()
            self.answers.succeed(callback, done.outputs, key=done.key)
            return
        standing.withdraw(record, guard.check)
        guard.check()
        version = record.model.version
        self.answers.fail(
            callback, f"stopped after version {version} was recorded; it is withdrawn"
        )

    def _give_up(self, callback: Callback, error: GovernanceError) -> None:
        text = "%s was stopped, and a version may be left: %s"
        alert(Alert.VERSION_MAY_BE_LEFT, text, callback.execution_id, error)
        self.answers.fail(
            callback, f"stopped on request; whether a version was left is not known: {error}"
        )
