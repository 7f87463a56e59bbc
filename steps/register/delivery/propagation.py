"""Try again after a 403 or 404 that may end when a new right or object is known everywhere.

done = despite_propagation(attempt.run, wait=…, name=…)
"""

import logging
from collections.abc import Callable

from steps.governance.errors import AccessDenied, NotFound
from steps.register.delivery.failures import impossible

log = logging.getLogger(__name__)

# before each further try; a stop is not noticed meanwhile, so none is long
PAUSE_SECONDS = (5, 15, 25)


def despite_propagation(run: Callable[[], bool], wait: Callable[[int], None], name: str) -> bool:
    """Return what `run` returns. One such refusal of each call is tried again within a minute.

    Raises:
        AccessDenied: a call was refused a second time.
        NotFound: a call found nothing a second time.
    """
    seen: set[str] = set()
    for pause in PAUSE_SECONDS:
        try:
            return run()
        except (AccessDenied, NotFound) as error:
            if error.what in seen or not impossible(error):
                raise
            seen.add(error.what)
            log.warning("%s is tried again in %d s: %s", name, pause, error)
        wait(pause)
    return run()
