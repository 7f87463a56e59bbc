"""What becomes of a message after it was handled."""

import logging
from dataclasses import dataclass
from enum import Enum

from steps.governance.alerts import Alert, alert
from steps.governance.errors import GovernanceError
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State

log = logging.getLogger(__name__)


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


def refused(error: GovernanceError, delivery: Delivery, most: int) -> Outcome:
    """Leave a message that is not answered, since its sender is unknown."""
    return _left(Alert.MESSAGE_REFUSED, str(error), delivery, most)


def unanswered(subject: str, error: Exception) -> Outcome:
    """Leave a message whose step may still wait."""
    alert(
        Alert.MESSAGE_UNANSWERED,
        "%s goes to the dead-letter queue unanswered; if its step still waits, redrive it: %s",
        subject,
        error if isinstance(error, GovernanceError) else type(error).__name__,
    )
    return Outcome(Fate.LEAVE)


def contradicted(callback: Callback, delivery: Delivery, most: int) -> Outcome:
    """Leave the message of a step whose answer is not what record and alias show."""
    answer = "Success, but no record exists"
    if callback.state is State.FAILED:
        answer = "Failure, but record and alias are stored"
    what = f"{callback.execution_arn} was answered with {answer}"
    return _left(Alert.ANSWER_CONTRADICTS_EVIDENCE, what, delivery, most)


def _left(name: Alert, what: str, delivery: Delivery, most: int) -> Outcome:
    """Leave a message that comes back until the queue moves it after `most` receives.

    Its first receive is an alert, then each whose number is twice the one before, and the last: 8
    of 120. The others are INFO.
    """
    number = delivery.attempt
    text = f"receive {number} of {most}, then to the dead-letter queue: %s"
    if number >= most or number.bit_count() == 1:
        alert(name, text, what)
    else:
        log.info(text, what)
    return Outcome(Fate.LEAVE)
