"""The table of alerts: log lines that need a person.

    alerts.alert(Alert.MESSAGE_REFUSED, "%s", error)
    # ERROR … ALERT message-refused: …

The line begins with ALERT and the alert's name, and as JSON it has the field `alert`, so that a
metric filter can count each. docs/runbook.md has one section for each: what it means, how to see
it, what to do, when it clears.
"""

import logging
from enum import StrEnum

log = logging.getLogger(__name__)


class Alert(StrEnum):
    """The names, each with its section in docs/runbook.md."""

    MESSAGE_REFUSED = "message-refused"
    MESSAGE_UNANSWERED = "message-unanswered"
    REGISTRATION_GIVEN_UP = "registration-given-up"
    ANSWER_CONTRADICTS_EVIDENCE = "answer-contradicts-evidence"
    VERSION_MAY_BE_LEFT = "version-may-be-left"
    WORKER_CANNOT_CONNECT = "worker-cannot-connect"


def alert(name: Alert, text: str, *values: object, trace: bool = False) -> None:
    """Log an alert. `trace`: with the traceback of the exception that is being handled."""
    text = f"ALERT {name}: {text}"
    log.error(text, *values, exc_info=trace, extra={"alert": str(name)})
