"""End an execution whose registration failed, so that pipeline and registry agree.

    end = Ending(standing, answers).fail(callback, folder, check, reason=…, last=False)

What is stored                      on a receive that is not the last    on the last receive
nothing                            Failure                              Failure
a version without record           it is deleted, then Failure          the same
  it cannot be read or deleted     later                                Failure; the message stays
a version with record, no alias    later                                tagged withdrawn, Failure
a version with record and alias    later                                no answer; the message stays
record or registry not readable    later                                no answer; the message stays

"Later" means that the next delivery continues, towards Success if there is a record. A message that
stays comes into the dead-letter queue. When it is sent again, an open step is registered, and what
was left of a failed one is deleted (`after_failure`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from steps.governance.alerts import Alert, alert
from steps.governance.errors import GovernanceError
from steps.register.delivery.callback_answer import Answers
from steps.register.delivery.sagemaker_truth import Callback
from steps.register.ends.standing import Standing

MAY_BE_LEFT = "a version may be left, the worker deletes it later"


class End(Enum):
    """What became of an execution whose registration failed."""

    AGREED = "answered with Failure, and no usable version is left"
    LEFT = "answered with Failure, and a version may be left"
    LATER = "not answered"


@dataclass(frozen=True)
class Ending:
    """Reads what is stored, and answers the step accordingly."""

    standing: Standing
    answers: Answers

    def fail(
        self,
        callback: Callback,
        folder: str,
        check: Callable[[], None],
        *,
        reason: str,
        last: bool,
    ) -> End:
        """Answer with Failure if no registration is left.

        Raises:
            GovernanceError: what is stored is not known, or could not be taken back.
        """
        record = self.standing.record(folder)
        if record is None:
            return self._fail_unrecorded(callback, folder, check, reason=reason, last=last)
        if not last or self.standing.is_published(record):
            return End.LATER
        self.standing.withdraw(record, check)
        version = f"version {record.model.version} was recorded and withdrawn"
        self.answers.fail(callback, f"{version}: {reason}")
        return End.AGREED

    def after_failure(self, callback: Callback, folder: str, check: Callable[[], None]) -> bool:
        """Take back what is left of an execution whose step was answered with Failure.

        Returns False if record and alias are stored, which only a person can decide about.
        """
        record = self.standing.record(folder)
        if record is None:
            self.standing.discard(callback, folder, check)
            return True
        if self.standing.is_published(record):
            return False
        self.standing.withdraw(record, check)
        return True

    def _fail_unrecorded(
        self,
        callback: Callback,
        folder: str,
        check: Callable[[], None],
        *,
        reason: str,
        last: bool,
    ) -> End:
        try:
            self.standing.discard(callback, folder, check)
        except GovernanceError as error:
            if not last:
                raise
            text = "%s failed, and a version may be left: %s"
            alert(Alert.VERSION_MAY_BE_LEFT, text, callback.execution_id, error)
            self.answers.fail(callback, f"{MAY_BE_LEFT} · {reason}")
            return End.LEFT
        self.answers.fail(callback, reason)
        return End.AGREED
