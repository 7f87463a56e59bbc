"""When a worker that cannot receive ends, so that its supervisor starts another one.

    standstill = Standstill(seconds=120)
    standstill.failed(error)        # of a receive, or of a settlement; raises when it is time
    standstill.worked()

Credentials that expired and that botocore cannot renew, a queue that is gone, a right that was
withdrawn: none of them ends by waiting in this process. A service that does not answer does, so an
outage never ends a worker.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from botocore import exceptions

from steps.governance.errors import GovernanceError, Unavailable

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: start it again
_WITHOUT_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
    exceptions.MetadataRetrievalError,
)


class CannotWork(GovernanceError):
    """This worker cannot take messages, and waiting does not change that."""

    exit_code = EXIT_CODE


class Standstill:
    """How long a worker has not been able to work."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._since: float | None = None
        self._began = ""

    def worked(self) -> None:
        """Note that a call succeeded."""
        self._since = None

    def failed(self, error: GovernanceError) -> None:
        """Note that a call failed.

        Raises:
            CannotWork: such calls have failed for the whole budget.
        """
        if not is_standstill(error):
            return
        if self._since is None:
            self._since = self._clock()
            self._began = datetime.now(UTC).strftime("%H:%M:%S UTC")
        if self._clock() - self._since < self._seconds:
            return
        raise CannotWork(
            f"this worker ends: it has not been able to work since {self._began}",
            expected="credentials of the register role, and its queue",
            got=" ".join(str(error).split()),
            do="its supervisor starts another one; if that one ends too, compare role, queue and "
            "arguments with conf/infrastructure",
        ) from error


def is_standstill(error: GovernanceError) -> bool:
    """Whether AWS refused, or there were no credentials to ask with."""
    if isinstance(error, Unavailable):
        return isinstance(error.__cause__, _WITHOUT_CREDENTIALS)
    return isinstance(error.__cause__, exceptions.ClientError)
