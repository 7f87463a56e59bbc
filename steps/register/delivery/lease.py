"""A lease: one worker at a time for each execution, by create-only objects in the evidence bucket.

    with Lease(region, folder="s3://…/executions/<id>/register", seconds=60) as lease:
        lease.renew()      # from the heartbeat
        lease.check()      # before each effect

The lease is a numbered series of objects (leases/000001.json, …). A worker takes the lease by
creating entry n+1 after entry n was released, or is older than `seconds`. With `If-None-Match: *`
only one writer can create an entry. The age is measured by S3's own clock, so the workers' clocks
do not matter. Entries are never deleted: they record which worker held the lease when.
docs/decisions/005-lease-in-the-evidence-bucket.md explains why this is not a DynamoDB table.
"""

import json
import logging
import math
import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from steps.governance import aws
from steps.governance.documents.document import Part, validated
from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.files import split_s3_uri
from steps.governance.whole_objects import TooLarge, read_whole

log = logging.getLogger(__name__)

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_MAX_BYTES = 1000  # of an entry
_MAX_ENTRIES = 10_000  # more can only come from a fault


class LeaseHeld(GovernanceError):
    """Another worker holds the lease, for at most `retry_seconds` more unless it is renewed."""

    def __init__(self, what: str, *, retry_seconds: int) -> None:
        super().__init__(what)
        self.retry_seconds = retry_seconds


class LeaseLost(GovernanceError):
    """The lease ran out, because this worker was too slow or cannot reach S3: it must not act."""


class _Holder(Part):
    held: bool
    owner: str


def new_owner() -> str:
    """Return a name that no other holder of a lease has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class _Entry:
    number: int
    owner: str
    held: bool
    age_seconds: float


class Lease:
    """The right to act for one execution: a context that releases the lease when it is left.

    `owner` may take a lease again that it could not release; by default each lease has another one.
    """

    def __init__(self, region: str, *, folder: str, seconds: int, owner: str | None = None) -> None:
        self._s3 = aws.client("s3", region)
        self._folder, self._seconds = folder, seconds
        self._owner = owner or new_owner()
        self._number, self._until = 0, 0.0

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            LeaseHeld: another worker holds it.
        """
        last = self._last()
        if last.held and last.owner != self._owner and last.age_seconds <= self._seconds:
            left = math.ceil(self._seconds - last.age_seconds) + 1  # S3's times have whole seconds
            raise LeaseHeld("another worker registers this execution", retry_seconds=left)
        if not self._append(last.number + 1, held=True):
            raise LeaseHeld("another worker took this execution first", retry_seconds=self._seconds)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lease unless it ran out.

        If that fails, the next worker waits for its end. What the attempt did, or its own error, is
        not changed by it.
        """
        if time.monotonic() < self._until:
            try:
                self._append(self._number + 1, held=False)
            except GovernanceError as failure:
                log.warning(
                    "the lease was not released, and ends after %d s: %s", self._seconds, failure
                )

    def renew(self) -> None:
        """Hold the lease for another `seconds`.

        Raises:
            LeaseLost: it ran out, or another worker took it.
        """
        self.check()
        if not self._append(self._number + 1, held=True):
            self._until = 0.0
            self.check()

    def check(self) -> None:
        """Return if this worker still holds the lease.

        Raises:
            LeaseLost: it ran out.
        """
        if time.monotonic() >= self._until:
            raise LeaseLost(
                "the lease on this execution ran out", do="nothing: the message is delivered again"
            )

    def _last(self) -> _Entry:
        last = _Entry(0, "", held=False, age_seconds=0.0)
        for number in range(1, _MAX_ENTRIES):
            entry = self._read(number)
            if entry is None:
                return last
            last = entry
        raise GovernanceError(
            "the lease has too many entries", expected=f"less than {_MAX_ENTRIES}", got=self._folder
        )

    def _read(self, number: int) -> _Entry | None:
        bucket, key = split_s3_uri(self._uri(number))
        with aws.translated(f"read {self._uri(number)}"):
            try:
                answer = self._s3.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if aws.error_code(error) in ("NoSuchKey", "404"):
                    return None
                raise
            try:
                content = read_whole(answer, limit=_MAX_BYTES)
            except TooLarge:
                content = b""  # not what Register writes, so it is refused below
        try:
            holder = validated(_Holder, content)
        except ValueError as error:
            raise IntegrityError(
                f"{self._uri(number)} is not an entry of a lease",
                expected="owner and held, as Register writes them",
                got=str(error)[:300],
                do="find out who wrote it; evidence is never overwritten",
            ) from None
        return _Entry(number, holder.owner, held=holder.held, age_seconds=_age(answer))

    def _append(self, number: int, *, held: bool) -> bool:
        """Create entry `number`; return False if another writer created it first.

        If the answer to our own write was lost, the repeated write finds our own entry: that is
        True.
        """
        bucket, key = split_s3_uri(self._uri(number))
        started = time.monotonic()  # before the write, so our end is never later than S3's
        with aws.translated(f"write {self._uri(number)}"):
            try:
                content = json.dumps({"held": held, "owner": self._owner})
                self._s3.put_object(Bucket=bucket, Key=key, Body=content.encode(), IfNoneMatch="*")
            except ClientError as error:
                if aws.error_code(error) not in _TAKEN:
                    raise
                entry = self._read(number)
                if entry is None or entry.owner != self._owner:
                    return False
        self._number, self._until = number, started + self._seconds if held else 0.0
        return True

    def _uri(self, number: int) -> str:
        return f"{self._folder}/leases/{number:06d}.json"


def _age(answer: dict[str, Any]) -> float:
    """Return an object's age in seconds, by the clock of S3."""
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return float((now - answer["LastModified"]).total_seconds())
