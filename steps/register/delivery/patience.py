"""How long one registration is tried: hours from its message's first receive, not receives.

    patience = Patience(arguments.give_up_after_seconds)
    patience.ends(delivery)          # 2026-11-29 14:20 UTC
    patience.is_over(delivery)       # the pipeline gets the failure now

SQS counts receives, and a count passes quickly: while the workspace is out each attempt is short,
and each restart of a worker is a receive too. So time decides. The queue's maxReceiveCount is far
above the number of attempts that fit into this time; it remains the bound for messages that nobody
can answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from steps.register.delivery.queue import Delivery


def utc_now() -> datetime:
    """Return the current time; tests pass another clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Patience:
    """The seconds for which a registration is tried again."""

    seconds: int
    now: Callable[[], datetime] = utc_now

    def ends(self, delivery: Delivery) -> datetime:
        """Return when the registration is given up."""
        return (delivery.since or self.now()) + timedelta(seconds=self.seconds)

    def is_over(self, delivery: Delivery) -> bool:
        """Return whether the registration is given up now."""
        return self.now() >= self.ends(delivery)

    def shortened(self, seconds: int, delivery: Delivery) -> int:
        """Return a pause that ends when the patience does, at the latest: there is a last try."""
        left = (self.ends(delivery) - self.now()).total_seconds()
        return max(min(seconds, int(left) + 1), 0)
