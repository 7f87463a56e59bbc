"""End a registration that is being stopped: undo what is unfinished, and answer with Failure.

    Undoing(…).run(callback, folder, guard)

A version without a record has no alias yet, so nobody can use it: it is deleted. A version with a
record stays, and the record is signed and entered in the ledger. If nothing can be undone (the
schema is gone, the workspace does not answer), the step is answered anyway, and an ALERT line in
the log names what may be left.
"""

import logging
import time
from dataclasses import dataclass, replace

from steps.governance.errors import GovernanceError, NotFound
from steps.governance.evidence import Evidence
from steps.governance.identity import Workspace
from steps.governance.names import UcName
from steps.register.delivery.callback_answer import Answers
from steps.register.delivery.lease import LeaseLost
from steps.register.delivery.lease_guard import Guard, Interrupted
from steps.register.delivery.sagemaker_truth import Callback
from steps.register.fact_reader import FactReader
from steps.register.model_registry.registry import Registry
from steps.register.package.artifact import Artifact
from steps.register.register import read_record
from steps.register.signing.signing import Signing

log = logging.getLogger(__name__)

# the reason for the step when a call takes longer than StopWatch waits
LATE = "stopped on request; what was begun is still being undone, see the register worker's log"
_TRY_SECONDS = 15.0  # how long undoing is repeated
_PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Undoing:
    """The services that a stop needs."""

    workspace: Workspace
    facts: FactReader
    evidence: Evidence
    answers: Answers
    signing: Signing

    def run(self, callback: Callback, folder: str, guard: Guard) -> None:
        """Undo what can be undone and answer the step.

        Raises:
            Interrupted: the worker must end; the next delivery continues.
            LeaseLost: another worker may act now.
        """
        deadline = time.monotonic() + _TRY_SECONDS
        while (reason := self._tried(callback, folder, guard, deadline=deadline)) is None:
            time.sleep(_PAUSE_SECONDS)
        guard.check()
        self.answers.fail(callback, reason)

    def _tried(
        self, callback: Callback, folder: str, guard: Guard, *, deadline: float
    ) -> str | None:
        """Return the reason for the step, or None to try again. After `deadline` it gives up."""
        try:
            return self._undone(callback, folder, guard)
        except (Interrupted, LeaseLost):
            raise
        except GovernanceError as error:
            name = callback.execution_id
            if time.monotonic() < deadline:
                log.warning("%s is being stopped, and cannot be undone yet: %s", name, error)
                return None
            log.error(  # noqa: TRY400 - our own message is enough
                "ALERT %s was stopped, and a version may be left: %s", name, error
            )
            return f"stopped on request; whether a version was left is not known: {error}"

    def _undone(self, callback: Callback, folder: str, guard: Guard) -> str:
        """Undo, and return a sentence about what is left."""
        record = read_record(self.evidence, folder)
        if record is None:
            self._discard_versions(callback, folder, guard)
            return "stopped on request before the model was registered"
        self.signing.complete(self.evidence, folder, record, guard.check)
        model = record.model
        is_set = self._registry().has_alias(UcName.parse(model.name), model.alias, model.version)
        alias = f"alias {model.alias} {'set' if is_set else 'not set'}"
        return f"stopped after version {model.version} was recorded; {alias}"

    def _discard_versions(self, callback: Callback, folder: str, guard: Guard) -> None:
        try:
            pinned = Artifact.from_bytes(self.evidence.read(f"{folder}/artifact.json"))
        except NotFound:
            return  # nothing was begun
        name = self.facts.execution(callback.execution_arn).name("ModelName")
        self._registry().discard(name, pinned.source, guard.check, ready_too=True)

    def _registry(self) -> Registry:
        """A registry whose calls take at most a third of the time for undoing: a person waits."""
        policy = self.workspace.policy.within(_TRY_SECONDS / 3)
        return Registry(replace(self.workspace, policy=policy))
