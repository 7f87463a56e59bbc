"""Storage keys for a task: it cannot renew them, so it knows how long they are good for.

    lending = Lending(access)           # on the driver; a mapping of delta-rs options
    lending.renew()                     # before the same frame is run again
    is_due(lending)                     # in a task: begin nothing new
    is_over(lending)                    # in a task: a refusal is the keys' end, no missing right

A task gets `Lent` in place of `Lending`: the keys and their times as they were when the task was
pickled. Spark Connect pickles a task each time that its frame is run, classic Spark once, when the
frame is made. Options without times (a plain mapping) are never due.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# Of a life: what is left of it is for the work that has begun. New keys have three quarters.
_WORK_FROM_ISSUE = 2 / 3


@dataclass(frozen=True)
class Times:
    """When keys were issued and when they end, in seconds since the epoch."""

    issued: float
    ends: float

    @property
    def due(self) -> float:
        """From here on nothing new is begun with them."""
        return self.issued + (self.ends - self.issued) * _WORK_FROM_ISSUE


class Lent(Mapping[str, str]):
    """delta-rs options with keys that end; they show in no representation."""

    def __init__(self, options: Mapping[str, str], times: Times) -> None:
        self._options, self.times = dict(options), times

    def __getitem__(self, name: str) -> str:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)


class Lender(Protocol):
    """What lends keys (`steps.governance.unity_catalog.credentials.Access`)."""

    def lend(self) -> Lent:
        """Return keys with at least three quarters of their life left."""


class Lending(Mapping[str, str]):
    """The keys that an access lent last."""

    def __init__(self, access: Lender) -> None:
        self._access = access
        self.renew()

    def renew(self) -> None:
        """Take keys that have most of their life left."""
        self._lent = self._access.lend()

    @property
    def times(self) -> Times:
        """When they end."""
        return self._lent.times

    def __reduce__(self) -> tuple[Any, ...]:
        return Lent, (dict(self._lent), self._lent.times)

    def __getitem__(self, name: str) -> str:
        return self._lent[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lent)

    def __len__(self) -> int:
        return len(self._lent)


def is_due(*options: Mapping[str, str]) -> bool:
    """Return whether any of these keys is too old to begin something."""
    return any(time.time() >= times.due for times in _times(options))


def is_over(*options: Mapping[str, str]) -> bool:
    """Return whether any of these keys has ended."""
    return any(time.time() >= times.ends for times in _times(options))


def _times(options: tuple[Mapping[str, str], ...]) -> list[Times]:
    return [one.times for one in options if isinstance(one, Lent | Lending)]
