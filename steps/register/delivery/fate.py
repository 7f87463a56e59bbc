"""What becomes of a message after it was handled."""

from dataclasses import dataclass
from enum import Enum

from steps.governance.alerts import Alert, alert
from steps.governance.errors import GovernanceError
from steps.register.delivery.sagemaker_truth import Callback, State


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


def refused(error: GovernanceError) -> Outcome:
    """Leave a message that is not answered, since its sender is unknown."""
    alert(Alert.MESSAGE_REFUSED, "%s", error)
    return Outcome(Fate.LEAVE)


def unanswered(subject: str, error: Exception) -> Outcome:
    """Leave a message whose step may still wait."""
    alert(
        Alert.MESSAGE_UNANSWERED,
        "%s goes to the dead-letter queue unanswered; if its step still waits, redrive it: %s",
        subject,
        error if isinstance(error, GovernanceError) else type(error).__name__,
    )
    return Outcome(Fate.LEAVE)


def contradicted(callback: Callback) -> Outcome:
    """Leave the message of a step whose answer is not what record and alias show."""
    failed = callback.state is State.FAILED
    alert(
        Alert.ANSWER_CONTRADICTS_EVIDENCE,
        "%s was answered with %s, but %s",
        callback.execution_arn,
        "Failure" if failed else "Success",
        "record and alias are stored" if failed else "no record exists",
    )
    return Outcome(Fate.LEAVE)
