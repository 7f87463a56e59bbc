"""Handle a message that asks to complete an answered step, and return what becomes of it.

outcome = handle(Completion(…), last=False, pause_seconds=4)
"""

import logging

from steps.register.completion.completing import Completion
from steps.register.delivery.failures import impossible, reason, unforeseen
from steps.register.delivery.fate import Fate, Outcome
from steps.register.delivery.lease import LeaseHeld
from steps.register.delivery.lease_guard import Interrupted

log = logging.getLogger(__name__)


def handle(completion: Completion, *, last: bool, pause_seconds: int) -> Outcome:
    """Complete the step, or give the message back for `pause_seconds` unless it is the last time.

    What cannot be completed is shown by `pipeline.reconcile`, so its message is deleted.
    """
    name = completion.callback.execution_id
    try:
        completion.run()
    except LeaseHeld as error:
        return Outcome(Fate.GIVE_BACK, error.retry_seconds)
    except Interrupted:
        return Outcome(Fate.GIVE_BACK)
    except Exception as error:
        log.warning("%s is not complete: %s", name, reason(error), exc_info=unforeseen(error))
        if impossible(error) or unforeseen(error) or last:
            return Outcome(Fate.DELETE)
        return Outcome(Fate.GIVE_BACK, pause_seconds)
    log.info("%s is complete", name)
    return Outcome(Fate.DELETE)
