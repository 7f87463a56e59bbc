"""A step's RetryPolicies: which faults are retried, how often, and after which pause.

    policies = Policies(step["RetryPolicies"])
    policies.next_pause("Step.THROTTLING")      # seconds, or None: no further attempt

Faults that this environment can produce: `Step.SERVICE_FAULT`, `Step.THROTTLING` and
`SageMaker.JOB_INTERNAL_ERROR`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestThrottled",
    "SlowDown",
}
DEFAULT_INTERVAL_SECONDS, DEFAULT_BACKOFF, DEFAULT_ATTEMPTS = 1, 2.0, 5


def fault_of(error: Exception) -> str | None:
    """Return the name that retry policies have for this error, or None."""
    if str(error).startswith("InternalServerError"):
        return "SageMaker.JOB_INTERNAL_ERROR"
    response: Mapping[str, Any] = getattr(error, "response", {})
    if response.get("Error", {}).get("Code") in _THROTTLED:
        return "Step.THROTTLING"
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return "Step.SERVICE_FAULT" if status >= 500 and status != 501 else None


class Policies:
    """The policies of one step and their remaining attempts."""

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._documents = documents
        self._used = [0] * len(documents)
        self._began = time.monotonic()

    def next_pause(self, fault: str | None) -> float | None:
        """Seconds until the next attempt; None when no policy allows one."""
        for number, policy in enumerate(self._documents):
            if fault not in policy.get("ExceptionType", []):
                continue
            interval = float(policy.get("IntervalSeconds", DEFAULT_INTERVAL_SECONDS))
            pause = (
                interval * float(policy.get("BackoffRate", DEFAULT_BACKOFF)) ** self._used[number]
            )
            self._used[number] += 1
            return pause if self._allows(policy, self._used[number], pause) else None
        return None

    def _allows(self, policy: Mapping[str, Any], attempt: int, pause: float) -> bool:
        if "ExpireAfterMin" in policy:
            return time.monotonic() - self._began + pause <= 60 * float(policy["ExpireAfterMin"])
        return attempt <= int(policy.get("MaxAttempts", DEFAULT_ATTEMPTS))
