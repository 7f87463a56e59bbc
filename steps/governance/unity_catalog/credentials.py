"""Storage credentials that Unity Catalog vends, renewed before they expire.

    access = catalog.read_access(table)
    DeltaTable(table.location, version=7, storage_options=access.storage_options())

`Access` renews its credential when half of its lifetime is left, but no earlier than 20 minutes
before expiry. A failed renewal is a warning while the old credential is valid; after that it raises
`CredentialsExpired`, and the job stops. Keys that the storage refuses before they expire are
dropped and vended again, once for each read (`with_keys`), and a read that the storage does not
answer is repeated within the budget of the access's `policy`.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol, TypeVar

from steps.governance.delta_storage import retries
from steps.governance.errors import (
    AccessDenied,
    CredentialsExpired,
    GovernanceError,
    KeysRefused,
    StorageUnanswered,
)
from steps.governance.storage import region as storage_region
from steps.governance.storage.leases import Lent, Times
from steps.governance.unity_catalog.retrying import Attempts, Policy, pause_after

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Renewal starts at most this long before expiry; databricks-sdk uses the same for its tokens.
_RENEW_AHEAD = timedelta(minutes=20)
# Of its life: an older credential is renewed before it is lent to a task, which cannot renew it.
_LENT_AGE = 1 / 4


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
        """Return whether the credential is fresh, due for renewal, or expired."""
        if now >= self.expires_at:
            return State.EXPIRED
        renew_ahead = min((self.expires_at - self.issued_at) / 2, _RENEW_AHEAD)
        return State.STALE if now >= self.expires_at - renew_ahead else State.FRESH


def utc_now() -> datetime:
    """Return the current time; tests pass another clock."""
    return datetime.now(UTC)


class Access:
    """The right to read (or write) one governed location while the job runs; thread-safe.

    `first` is the first credential, `renewals` the number of later ones. `policy` bounds the wait
    of each read for the storage.
    """

    def __init__(
        self,
        location: str,
        vend: Callable[[], Credential],
        *,
        policy: Policy | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.location, self.policy = location, policy or Policy()
        self._vend, self._now = vend, now
        self._lock = threading.Lock()
        self._credential = self.first = vend()
        self.renewals = 0

    def credential(self) -> Credential:
        """Return a credential that is valid now.

        Raises:
            AccessDenied: the right was withdrawn while the job ran.
            CredentialsExpired: the old credential expired and no new one was vended.
        """
        with self._lock:
            if self._credential.state(self._now()) is not State.FRESH:
                self._renew()
            return self._credential

    def lend(self) -> Lent:
        """Return keys for a task, with at least three quarters of their life left.

        It is less where the workspace does not answer now and the old ones are still valid.

        Raises:
            AccessDenied: the right was withdrawn while the job ran.
            CredentialsExpired: the old credential expired and no new one was vended.
        """
        with self._lock:
            held = self._credential
            if self._now() >= held.issued_at + (held.expires_at - held.issued_at) * _LENT_AGE:
                self._renew()
            held = self._credential
        times = Times(held.issued_at.timestamp(), held.expires_at.timestamp())
        return Lent(self._options(held), times)

    def drop(self) -> None:
        """Replace the credential now: the storage refused it before it expired.

        Raises:
            AccessDenied: the right was withdrawn.
            GovernanceError: no other credential was vended.
        """
        log.warning("the storage refused the credential for %s; it is replaced", self.location)
        with self._lock:
            self._credential = self._vend()
            self.renewals += 1

    def _renew(self) -> None:
        try:
            self._credential = self._vend()
            self.renewals += 1
        except AccessDenied:
            raise  # the right was withdrawn: stop, although the old credential still works
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
        """Return keys and budget as delta-rs options.

        delta-rs never renews the keys: open the table again.
        """
        return self._options(self.credential())

    def _options(self, credential: Credential) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
            "AWS_SESSION_TOKEN": credential.session_token,
            **_endpoint_options(self.location),
            **retries(self.policy.seconds),
        }


class Droppable(Protocol):
    """What `with_keys` needs of an `Access`."""

    @property
    def policy(self) -> Policy:
        """How long a read waits for the storage."""

    def drop(self) -> None:
        """Replace the keys."""


def with_keys(access: Droppable, read: Callable[[], Answer]) -> Answer:
    """Return what `read` returns; if the storage refused the keys, read once with other keys.

    `read` takes its keys from `access` when it is called. It is repeated while the storage does
    not answer.

    Raises:
        KeysRefused: the storage refused the new keys too.
        StorageUnanswered: it gave no answer within the budget.
    """
    attempts = Attempts("read a governed table", access.policy)
    while True:
        try:
            return _with_other_keys(access, read)
        except StorageUnanswered as error:
            pause_after(error, attempts)


def _with_other_keys(access: Droppable, read: Callable[[], Answer]) -> Answer:
    try:
        return read()
    except KeysRefused:
        access.drop()
    return read()


def _endpoint_options(location: str) -> dict[str, str]:
    """Return region and endpoint, which delta-rs does not learn by itself."""
    region, endpoint = storage_region.of(location), storage_region.own_endpoint()
    options = {"AWS_REGION": region} if region else {}
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = str(endpoint.startswith("http://")).lower()
    return options
