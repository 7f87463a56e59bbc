"""What becomes of a message after it was handled."""

import logging
from dataclasses import dataclass
from enum import Enum

from steps.governance.errors import GovernanceError
from steps.register.delivery.queue import Delivery

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


def left(what: object, delivery: Delivery, most: int) -> Outcome:
    """Leave a message that is not answered, such as one whose sender is unknown.

    It comes back until the queue moves it after `most` receives. Its first receive is an ALERT,
    then each whose number is twice the one before, and the last: 8 of 120. The others are INFO.
    """
    number = delivery.attempt
    alert = number >= most or number.bit_count() == 1
    log.log(
        logging.ERROR if alert else logging.INFO,
        "%sreceive %d of %d, then to the dead-letter queue: %s",
        "ALERT " if alert else "",
        number,
        most,
        what,
    )
    return Outcome(Fate.LEAVE)


def unanswered(subject: str, error: Exception) -> Outcome:
    """Leave a message whose step may still wait."""
    log.error(
        "ALERT %s goes to the dead-letter queue unanswered; "
        "if its step still waits, redrive it: %s",
        subject,
        error if isinstance(error, GovernanceError) else type(error).__name__,
    )
    return Outcome(Fate.LEAVE)
