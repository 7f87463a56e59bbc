"""The end of a registration that is being stopped: what is unfinished is undone, and the step gets its Failure.

    Undoing(…).run(callback, guard)

A version without a record has no alias yet, so nobody can have come to rely on it: it is deleted. After the record it
stays. Where the workspace does not let anything be undone (its schema is gone, it does not answer), the stop ends all
the same, and an ALERT line says what may have been left.
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
from steps.register.facts import FactReader
from steps.register.model_registry.registry import Registry
from steps.register.package.artifact import Artifact
from steps.register.register import read_record

log = logging.getLogger(__name__)

LATE = "stopped on request; what was begun is still being undone, see the register worker's log"
_TRY_SECONDS = 15.0  # how long undoing is tried again; StopWatch answers when a call takes longer
_PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Undoing:
    """What a stop needs, connected once."""

    workspace: Workspace
    facts: FactReader
    evidence: Evidence
    answers: Answers

    def run(self, callback: Callback, folder: str, guard: Guard) -> None:
        """Undo what can be undone and answer the step.

        Raises:
            Interrupted: the worker was told to end; the next one goes on.
            LeaseLost: another worker may be at it.
        """
        until = time.monotonic() + _TRY_SECONDS
        while True:
            try:
                reason = self._undone(callback, folder, guard)
                break
            except (Interrupted, LeaseLost):
                raise
            except GovernanceError as error:
                if time.monotonic() >= until:
                    log.error(
                        "ALERT %s was stopped, and a version may be left: %s",
                        callback.execution_id,
                        error,
                    )  # noqa: TRY400
                    reason = f"stopped on request; whether a version was left is not known: {error}"
                    break
                log.warning(
                    "%s is being stopped, and cannot be undone yet: %s",
                    callback.execution_id,
                    error,
                )
            time.sleep(_PAUSE_SECONDS)
        guard.check()
        self.answers.fail(callback, reason)

    def _undone(self, callback: Callback, folder: str, guard: Guard) -> str:
        """Undo, and say what is left."""
        record = read_record(self.evidence, folder)
        if record is None:
            self._discard_versions(callback, folder, guard)
            return "stopped on request before the model was registered"
        name, version, alias = (
            UcName.parse(record.model.name),
            record.model.version,
            record.model.alias,
        )
        is_set = self._registry().has_alias(name, alias, version)
        return f"stopped after version {version} was recorded; alias {alias} {'set' if is_set else 'not set'}"

    def _discard_versions(self, callback: Callback, folder: str, guard: Guard) -> None:
        try:
            pinned = Artifact.from_bytes(self.evidence.read(f"{folder}/artifact.json"))
        except NotFound:
            return  # nothing was begun
        name = self.facts.execution(callback.execution_arn).name("ModelName")
        self._registry().discard(name, pinned.source, guard.check, ready_too=True)

    def _registry(self) -> Registry:
        """One call may take a part of the time that undoing has: a person waits for the stop."""
        policy = self.workspace.policy.within(_TRY_SECONDS / 3)
        return Registry(replace(self.workspace, policy=policy))
