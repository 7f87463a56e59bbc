"""Reads of S3: documents, object versions and streams. Nothing is ever written.

    store = Store.connect(region)
    store.read("s3://evidence/executions/…/record.json")
    for chunk in store.chunks("s3://artifacts/…/model.tar.gz", version_id): …

Every call is a read and botocore repeats it (standard mode). A document whose body was cut short is
read again, as often. A stream that was cut short ends with `Unavailable`: nothing is compared with
a part of an object.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from steps.governance.aws_answers import checked, named_loss
from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    IntegrityError,
    NotFound,
    Unavailable,
)
from steps.governance.files import split_s3_uri
from steps.governance.whole_objects import CUT, TooLarge, WholeBody, read_whole

CHUNK_BYTES = 1 << 20
_ATTEMPTS = 4
# CloudTrail shows it. botocore would compose its own string again for every call.
_USER_AGENT = f"governed-finetune-audit Boto3/{boto3.__version__}"
_MAX_DOCUMENT = 64 * 1024 * 1024  # bytes; no document is larger
_DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}
_ABSENT = {
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchBucket",
    "404",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ObjectLockConfigurationNotFoundError",
}
_SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException"}


def client(service: str, region: str, **keys: str) -> Any:
    """Return a boto3 client with bounded repetition, of this process's role or of given keys."""
    config = Config(
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=32,
        user_agent=_USER_AGENT,
    )
    return checked(_session().client(service, region_name=region, config=config, **keys))


@functools.cache
def _session() -> boto3.Session:
    """Return a session that reads times by the standard library.

    botocore tries dateutil's parser, which guesses the form: 10 % of a quick audit.
    """
    session = botocore.session.get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
    return boto3.Session(botocore_session=session)


def _instant(value: str | float) -> datetime:
    """Return a time of AWS: seconds since 1970, ISO 8601, or the form of HTTP's headers."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return parsedate_to_datetime(value)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Run one call to AWS and raise its errors as ours.

    Raises:
        AccessDenied: the role lacks a right.
        NotFound: the object does not exist.
        Unavailable: no answer came.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _DENIED:
            raise AccessDenied(f"this role was refused: {doing}", got=code) from error
        if code in _ABSENT or code.endswith("NotFound"):
            raise NotFound(f"nothing there: {doing}", got=code) from error
        if code in _SKEWED:
            raise GovernanceError(
                f"AWS refused the time of this machine: {doing}",
                expected="a clock within five minutes of AWS's",
                got=code,
                do="set this machine's clock",
            ) from error
        raise GovernanceError(f"AWS refused: {doing}", got=code) from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS gave no answer: {doing}", got=named_loss(error)) from error


@dataclass(frozen=True)
class Stored:
    """One key: how many versions and delete markers it has, and the current size in bytes."""

    versions: int
    deletions: int
    size: int | None


class Store:
    """Reads with one boto3 S3 client."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    @classmethod
    def connect(cls, region: str, **keys: str) -> "Store":
        """Return a store with this process's role, or with vended keys."""
        return cls(client("s3", region, **keys))

    def read(self, uri: str, *, limit: int = _MAX_DOCUMENT) -> bytes:
        """Return the bytes of a small object.

        Raises:
            NotFound: it does not exist.
            AccessDenied: the role may not read it.
            IntegrityError: it is larger than `limit`.
        """
        bucket, key = split_s3_uri(uri)
        with translated(f"read {uri}"):
            try:
                for _ in range(_ATTEMPTS - 1):
                    with suppress(*CUT):
                        return read_whole(self._s3.get_object(Bucket=bucket, Key=key), limit=limit)
                return read_whole(self._s3.get_object(Bucket=bucket, Key=key), limit=limit)
            except TooLarge:
                raise IntegrityError(
                    f"{uri} is too large", expected=f"at most {limit} bytes"
                ) from None

    def size(self, uri: str, version_id: str | None = None) -> int:
        """Return the size of an object, or of one version of it, in bytes."""
        bucket, key = split_s3_uri(uri)
        with translated(f"look at {uri}"):
            head = self._s3.head_object(Bucket=bucket, Key=key, **_version(version_id))
        return int(head["ContentLength"])

    def chunks(self, uri: str, version_id: str | None = None) -> Iterator[bytes]:
        """Yield an object's bytes in chunks of at most `CHUNK_BYTES`."""
        bucket, key = split_s3_uri(uri)
        with translated(f"read {uri}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key, **_version(version_id))
            body = WholeBody(answer)
            while chunk := body.read(CHUNK_BYTES):
                yield chunk

    def versions(self, bucket: str, prefix: str) -> dict[str, Stored]:
        """Return every key below a prefix with its number of versions and delete markers."""
        counts: dict[str, list[int]] = {}
        sizes: dict[str, int] = {}
        with translated(f"list the versions of s3://{bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for entry in page.get("Versions", []):
                    counts.setdefault(entry["Key"], [0, 0])[0] += 1
                    if entry["IsLatest"]:
                        sizes[entry["Key"]] = int(entry["Size"])
                for entry in page.get("DeleteMarkers", []):
                    counts.setdefault(entry["Key"], [0, 0])[1] += 1
        return {
            key: Stored(versions, deletions, sizes.get(key))
            for key, (versions, deletions) in counts.items()
        }

    def keys(self, uri: str) -> dict[str, int]:
        """Return the keys below a URI, relative to it, with their sizes in bytes."""
        bucket, prefix = split_s3_uri(uri)
        prefix = prefix.rstrip("/") + "/"
        with translated(f"list {uri}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return {
                entry["Key"].removeprefix(prefix): int(entry["Size"])
                for page in pages
                for entry in page.get("Contents", [])
            }

    def rules(self, bucket: str) -> Mapping[str, Any]:
        """Return a bucket's versioning status, and its object lock's mode and days (None: none)."""
        with translated(f"read the versioning of {bucket}"):
            versioning = self._s3.get_bucket_versioning(Bucket=bucket).get("Status")
        try:
            with translated(f"read the object lock of {bucket}"):
                answer = self._s3.get_object_lock_configuration(Bucket=bucket)
        except NotFound:
            return {"versioning": versioning, "mode": None, "days": None}
        lock = answer["ObjectLockConfiguration"].get("Rule", {}).get("DefaultRetention", {})
        days = lock.get("Days") or (lock["Years"] * 365 if "Years" in lock else None)
        return {"versioning": versioning, "mode": lock.get("Mode"), "days": days}


def _version(version_id: str | None) -> dict[str, str]:
    return {} if version_id is None else {"VersionId": version_id}
