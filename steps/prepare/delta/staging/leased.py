"""Run Spark actions whose tasks have storage keys that may end before the work does.

    until_done({0: 0, 1: 0}, run, keys, doing="read and judge the filings")
    rows = again(lambda: frame.collect(), keys, doing="write the data files")

A task cannot renew its keys. Where its work has parts, it begins none with keys that are due
(`steps.governance.storage.leases`) and reports what is left, also a part that failed since its keys
ended meanwhile (`left_when_over`); the driver takes new keys and runs that, so the whole may take
any time (`until_done`). Other actions are run again as a whole if they
failed and their keys had ended meanwhile (`again`); such an action must end within the keys' life.
Both may repeat work: files are named by their content, and no reader sees them before a commit.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from steps.governance.errors import CredentialsExpired
from steps.governance.storage.leases import Lending, is_due, is_over

log = logging.getLogger(__name__)

Left = dict[int, int]  # numbers of parts, and how much of each is done
Result = TypeVar("Result")

_ATTEMPTS = 3  # without any progress


def until_done(
    parts: Mapping[int, int],
    run: Callable[[Left], Left],
    keys: Sequence[Lending],
    *,
    doing: str,
) -> None:
    """Run the parts, and with new keys what `run` returns as left, until nothing is left.

    Raises:
        CredentialsExpired: a part cannot be done within the keys' life.
    """
    left, idle = dict(parts), 0
    while left:
        _renew(keys)
        rest = run(left)
        idle = idle + 1 if rest == left else 0
        if idle == _ATTEMPTS:
            raise _too_short(keys, doing)
        if rest:
            log.info("the keys end: %d of %d parts continue with new ones", len(rest), len(parts))
        left = rest


def begun(parts: Iterable[int], options: Mapping[str, str]) -> Iterator[int]:
    """Yield parts while the keys are not due; in a task."""
    for part in parts:
        if is_due(options):
            return
        yield part


@contextmanager
def left_when_over(*options: Mapping[str, str]) -> Iterator[None]:
    """Leave a part for the next action if it fails and its keys have ended; in a task."""
    try:
        yield
    except Exception:
        if not is_over(*options):
            raise


def again(action: Callable[[], Result], keys: Sequence[Lending], *, doing: str) -> Result:
    """Return what the action returns; run it again if it failed and its keys had ended.

    Spark Connect gives a frame's tasks the new keys. Classic Spark keeps those that the frame was
    made with, so there the first failure is the last.

    Raises:
        CredentialsExpired: it takes longer than the keys' life.
    """
    for _ in range(_ATTEMPTS):
        _renew(keys)
        try:
            return action()
        except Exception as error:
            if not is_over(*keys):
                raise
            failed = error
            log.warning("the keys ended while Spark was to %s; it is run again", doing)
    raise _too_short(keys, doing) from failed


def _renew(keys: Sequence[Lending]) -> None:
    for one in keys:
        one.renew()


def _too_short(keys: Sequence[Lending], doing: str) -> CredentialsExpired:
    life = min(one.times.ends - one.times.issued for one in keys)
    return CredentialsExpired(
        f"the storage keys end before Spark can {doing}",
        expected="a step of this work within the keys' life",
        got=f"{_ATTEMPTS} attempts without progress, with keys that live {life:.0f} s",
        do="use fewer rows at once, or the delta engine unity-connector, which renews keys in its "
        "tasks (docs/data.md)",
    )
