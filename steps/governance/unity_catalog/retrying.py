"""Retries of calls to the workspace: which calls, for how long, and effects with a lost answer.

    attempts = Attempts("GET /api/2.1/unity-catalog/tables/edgar.raw.filings", policy)
    attempts.wait(Failure("HTTP 502"))      # sleeps, or raises Unanswered: the budget is spent
    settle(create, present=is_there, doing="register table a.b.c", policy=policy)
    content = repeated(read, doing="read s3://…", policy=policy)  # while it raises Unavailable

Reads are repeated on 408, 429, 5xx, lost connections and time-outs, after pauses that double, each
with jitter. The budget bounds the attempts and the pauses together. `Retry-After` (seconds or an
HTTP date) is honoured as far as the budget reaches; a service that asks for more ends the call at
once, and the error names the time it asked for. A call that waits logs what, since when and until
when: at first, and each time its wait has doubled. `READING_POSTS` count as reads. Every other 4xx
is final; after a 401 the transport gets a new token first.

Effects are sent once. Only a request that certainly had no effect is sent again: one that got a
429, or that found no connection. After any other failure the effect may have happened, so `settle`
looks whether it did before it sends again.

`steps.governance.unity_catalog.transport` applies this to databricks-sdk and mlflow, whose own
repetitions are switched off there.
"""

import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

from steps.governance.errors import Unavailable
from steps.governance.unity_catalog.budgets import ASKING_SECONDS
from steps.governance.unity_catalog.budgets import CONNECTING_SECONDS as CONNECTING_SECONDS
from steps.governance.unity_catalog.budgets import WORKING_SECONDS as WORKING_SECONDS

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

EFFECT_ATTEMPTS = 3  # each is preceded by a look whether the one before it happened
_FIRST_PAUSE_SECONDS = 0.5
# The longest pause is a 60th of the budget, within these bounds: a long outage is not asked often,
# and its end is noticed soon.
_LEAST_LONGEST_SECONDS, _MOST_LONGEST_SECONDS = 8.0, 30.0
_FINAL_SERVER_ERRORS = {501, 505}  # not implemented, HTTP version: the same request never succeeds
_PASSING_CLIENT_ERRORS = {408, 429}
_UNPROCESSED = 429  # refused by a rate limit, before any work
READING_POSTS = re.compile(
    r"/oidc/v1/token|/api/2\.\d/unity-catalog/temporary-[a-z-]+-credentials"
    r"|/api/2\.0/mlflow/unity-catalog/model-versions/generate-temporary-credentials"
)


class Unanswered(Exception):
    """No usable answer within the budget.

    `retry_after_seconds` is what the service asked for, if it did.
    """

    def __init__(self, text: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Clock:
    """Time and random numbers. Tests pass their own."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True)
class Policy:
    """A budget for each call, in seconds, and the clock that measures it.

    With no budget nothing is repeated. `starting_seconds` is the budget of the first secret and
    access token.
    """

    seconds: float = ASKING_SECONDS
    clock: Clock = field(default_factory=Clock)
    starting_seconds: float = ASKING_SECONDS

    def within(self, seconds: float) -> "Policy":
        """Return a policy with the same clock and another budget."""
        return Policy(seconds, self.clock, seconds)


@dataclass(frozen=True)
class Failure:
    """Why an attempt brought no answer. `unprocessed`: the request certainly had no effect."""

    cause: str
    asked_seconds: float | None = None
    unprocessed: bool = False


def is_read(method: str, path: str) -> bool:
    """Return whether this request has no effect, so that it can be repeated."""
    return method in ("GET", "HEAD") or (
        method == "POST" and READING_POSTS.fullmatch(path) is not None
    )


def failure_of(status: int, retry_after: str | None, now: datetime) -> Failure | None:
    """Return the failure that an HTTP status means, or None if the status is an answer."""
    if (status < 500 and status not in _PASSING_CLIENT_ERRORS) or status in _FINAL_SERVER_ERRORS:
        return None
    return Failure(
        f"HTTP {status}", seconds_asked(retry_after, now), unprocessed=status == _UNPROCESSED
    )


def seconds_asked(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds of a `Retry-After` header [RFC 9110, 10.2.3], or None if it is invalid."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]{1,15}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or day with too many digits overflows
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


class Attempts:
    """The attempts of one call: counted, paced and bounded."""

    def __init__(self, doing: str, policy: Policy) -> None:
        self._doing, self._policy = doing, policy
        self._began, self._since = policy.clock.monotonic(), policy.clock.now()
        self._logged_after = -1.0  # seconds that had passed when the wait was logged last
        self.count = 1

    @property
    def seconds_left(self) -> float:
        """The seconds that are left of the budget."""
        return self._policy.seconds - self._spent

    @property
    def _spent(self) -> float:
        return self._policy.clock.monotonic() - self._began

    def wait(self, failure: Failure) -> None:
        """Pause before the next attempt.

        Raises:
            Unanswered: the pause does not fit into the budget.
        """
        clock, left = self._policy.clock, self.seconds_left
        pause = (
            self._backoff()
            if failure.asked_seconds is None
            else max(failure.asked_seconds, self._backoff())
        )
        if pause >= left:
            raise self.unanswered(failure)
        self._log_wait(failure, pause)
        clock.sleep(pause)
        self.count += 1

    def _log_wait(self, failure: Failure, pause: float) -> None:
        if self._spent < 2 * self._logged_after:
            return
        self._logged_after = self._spent
        until = self._since + timedelta(seconds=self._policy.seconds)
        log.warning(
            "%s: %s; attempt %d follows in %.1f s, %.0f s are left "
            "(waits since %s, gives up at %s UTC)",
            *(self._doing, failure.cause, self.count + 1, pause, self.seconds_left),
            *(f"{moment:%H:%M:%S}" for moment in (self._since, until)),
        )

    def _backoff(self) -> float:
        longest = min(max(self._policy.seconds / 60, _LEAST_LONGEST_SECONDS), _MOST_LONGEST_SECONDS)
        pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(self.count - 1, 10), longest)
        return pause * (0.5 + self._policy.clock.chance() / 2)

    def unanswered(self, failure: Failure) -> Unanswered:
        """Return the error that ends this call, with attempts, time and the requested pause."""
        text = f"{failure.cause} (attempt {self.count}, after {self._spent:.0f} s)"
        if failure.asked_seconds is not None:
            budget = (
                f"{max(self.seconds_left, 0):.0f} s are left of the "
                f"{self._policy.seconds:.0f} s for this call"
            )
            text = f"{text}; the service asked to wait {failure.asked_seconds:.0f} s, {budget}"
        return Unanswered(text, retry_after_seconds=failure.asked_seconds)


def settle(
    act: Callable[[], None], *, present: Callable[[], bool], doing: str, policy: Policy
) -> None:
    """Perform an effect once.

    After a lost answer, check whether the effect happened before sending it again.

    Raises:
        Unavailable: it did not happen, in `EFFECT_ATTEMPTS` attempts or within the budget.
    """
    attempts = Attempts(doing, policy)
    while True:
        try:
            act()
        except Unavailable as error:
            lost = error
        else:
            return
        if present():
            log.warning("%s: the answer was lost, the effect is there", doing)
            return
        if attempts.count >= EFFECT_ATTEMPTS:
            raise lost
        pause_after(lost, attempts)


def repeated(act: Callable[[], Answer], *, doing: str, policy: Policy) -> Answer:
    """Return what `act` returns; call it again while it raises `Unavailable`.

    `act` is a read, or an effect that is safe to repeat.

    Raises:
        Unavailable: no answer within the budget.
    """
    attempts = Attempts(doing, policy)
    while True:
        try:
            return act()
        except Unavailable as error:
            pause_after(error, attempts)


def pause_after(error: Unavailable, attempts: Attempts) -> None:
    """Wait before an effect is sent again.

    An error that came after the budget was spent is raised as it is.
    """
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    cause = "; ".join(line for line in lines if not line.startswith("do "))
    try:
        attempts.wait(Failure(cause, error.retry_after_seconds))
    except Unanswered:
        raise error from error.__cause__
