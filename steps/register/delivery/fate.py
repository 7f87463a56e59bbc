"""What becomes of a message after it was handled."""

import logging
from dataclasses import dataclass
from enum import Enum

from steps.governance.errors import GovernanceError

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


def refused(error: GovernanceError) -> Outcome:
    """Leave a message that is not answered, since its sender is unknown."""
    log.error("ALERT %s", error)
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
