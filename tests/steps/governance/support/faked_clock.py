"""A clock without waiting: pauses are recorded and advance the time."""

from datetime import UTC, datetime, timedelta

from steps.governance.unity_catalog.retrying import Clock, Policy

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


class FakedClock:
    """`policy()` is what a client under test takes.

    `pauses` are the seconds it would have waited.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.passed = 0.0

    def policy(self, seconds: float = 60.0) -> Policy:
        return Policy(
            seconds, Clock(lambda: self.passed, lambda: self.now, self._sleep, lambda: 1.0)
        )

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed += seconds
