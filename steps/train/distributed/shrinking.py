"""Out of memory in one of several workers: all start again, with smaller passes.

    OutOfMemory.shrinks                      of a worker: with smaller passes the job may fit
    batching = batching.shrunk(times())      in a worker that was started again
    environment(times)                       in the launcher, for the workers of the next start

A worker cannot go back by itself: the others wait for it in the middle of a step. So it ends, the
launcher ends the others, and all start again from the newest checkpoint. `smaller` of
planning/batching.py has a few sizes only, so the number of starts is bounded. On several hosts each
launcher knows only its workers, and the job ends with the reason.
"""

import os
from collections.abc import Mapping

from steps.governance.errors import GovernanceError

_TIMES = "GOVERNED_FINETUNE_SMALLER"  # the launcher sets this variable for its workers


class OutOfMemory(GovernanceError):
    """The device has no memory for a pass.

    Attributes:
        shrinks: whether the launcher should start all workers again with smaller passes.
    """

    shrinks = False


def environment(times: int) -> dict[str, str]:
    """Return the variable that lets workers take the `times`-th smaller batching."""
    return {_TIMES: str(times)} if times else {}


def times(environ: Mapping[str, str] = os.environ) -> int:
    """Return how often memory was too small in earlier starts, as the launcher has counted."""
    return int(environ.get(_TIMES, "0"))
