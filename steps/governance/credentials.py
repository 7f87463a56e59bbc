"""Storage credentials that Unity Catalog vends: expiry is a state, and time is an argument.

    access = catalog.read_access(table)
    DeltaTable(table.location, version=7, storage_options=access.storage_options())

`Access` renews its credential when half of its life, at most 20 minutes of it, is left. If renewing fails while the old
one is still valid, that is a warning; after that it is `CredentialsExpired`, and the job stops.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from steps.governance.errors import AccessDenied, CredentialsExpired, GovernanceError

log = logging.getLogger(__name__)

# The longest time before expiry at which renewing starts; databricks-sdk uses the same for its tokens.
_RENEW_AHEAD = timedelta(minutes=20)


class State(Enum):
    """FRESH: use it. STALE: still valid, renew it now. EXPIRED: must not be used."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Credential:
    """Temporary AWS keys for one storage location; the keys never show in `repr`."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime

    def state(self, now: datetime) -> State:
        """How far this credential's life has gone."""
        if now >= self.expires_at:
            return State.EXPIRED
        renew_ahead = min((self.expires_at - self.issued_at) / 2, _RENEW_AHEAD)
        return State.STALE if now >= self.expires_at - renew_ahead else State.FRESH


def utc_now() -> datetime:
    """The real clock; tests give another."""
    return datetime.now(UTC)


class Access:
    """A governed location and the right to read (or write) it, as long as the job lasts. Threads may share it."""

    def __init__(
        self,
        location: str,
        vend: Callable[[], Credential],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.location = location
        self._vend, self._now = vend, now
        self._lock = threading.Lock()
        self._credential = vend()

    def credential(self) -> Credential:
        """A credential that is valid now.

        Raises:
            AccessDenied: the right was withdrawn while the job ran.
            CredentialsExpired: the old credential ran out and a new one could not be had.
        """
        with self._lock:
            if self._credential.state(self._now()) is not State.FRESH:
                self._renew()
            return self._credential

    def _renew(self) -> None:
        try:
            self._credential = self._vend()
        except AccessDenied:
            raise  # the right is gone: a credential that still works is no reason to go on
        except GovernanceError as error:
            if self._credential.state(self._now()) is State.EXPIRED:
                raise CredentialsExpired(
                    f"the credential for {self.location} ran out and was not renewed",
                    expected="a new credential from Unity Catalog",
                    got=error.what,
                    do="run again when the workspace answers",
                ) from error
            log.warning(
                "credential for %s not renewed yet, the old one is still valid: %s",
                self.location,
                error.what,
            )

    def storage_options(self) -> dict[str, str]:
        """The keys as delta-rs takes them. They are static there: open the table again for newer ones."""
        credential = self.credential()
        return {
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
            "AWS_SESSION_TOKEN": credential.session_token,
            **_endpoint_options(),
        }


def _endpoint_options() -> dict[str, str]:
    """Region and endpoint from AWS's own environment variables, for clients that are not boto3."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options = {"AWS_REGION": region} if region else {}
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = str(endpoint.startswith("http://")).lower()
    return options
