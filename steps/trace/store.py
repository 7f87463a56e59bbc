"""Read access to evidence: the bucket, or a folder that holds a copy of it.

    store = open_store("s3://<evidence>/executions", region="eu-west-1")
    stored = store.listed("executions/")     # {"executions/4x7k…/register/record.json": Stored(…)}
    content = store.read("executions/4x7k…/register/record.json")

Both calls are reads. botocore repeats them after a lost answer, a time-out, 429 and 5xx; an expired
token, a missing right and a missing bucket end the call with one of our errors.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from steps.governance.aws_answers import checked, named_loss
from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    NotFound,
    Unavailable,
    UsageError,
)
from steps.governance.files import split_s3_uri

THREADS = 16  # of concurrent reads
_DENIED = {"AccessDenied", "403"}
_ABSENT = {"NoSuchBucket", "404"}
_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclass(frozen=True)
class Stored:
    """One stored object: its entity tag, which changes with its content, and its size in bytes."""

    etag: str
    size: int


class Store(Protocol):
    """Evidence that can be listed and read; `root` is the URI or folder of all keys."""

    root: str

    def listed(self, prefix: str) -> dict[str, Stored]:
        """Return every object below a prefix, by key."""

    def read(self, key: str) -> bytes:
        """Return an object's bytes; NotFound if it does not exist."""


class BucketStore:
    """The evidence bucket, with the caller's AWS identity."""

    def __init__(self, bucket: str, region: str) -> None:
        # A folder needs neither; the SDK takes half a second to import.
        import boto3
        from botocore.config import Config

        from steps.governance.evidence import Evidence

        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=THREADS,
        )
        self.root = f"s3://{bucket}"
        self._bucket = bucket
        self._s3 = checked(boto3.client("s3", region_name=region, config=config))
        self._evidence = Evidence(region)

    def listed(self, prefix: str) -> dict[str, Stored]:
        """Return every object below a prefix, by key.

        Raises:
            AccessDenied: s3:ListBucket is missing.
            NotFound: the bucket does not exist.
            Unavailable: S3 gave no answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        found: dict[str, Stored] = {}
        pages = self._s3.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    found[entry["Key"]] = Stored(entry["ETag"].strip('"'), entry["Size"])
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, f"list {self.root}/{prefix}") from error
        return found

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._evidence.read(f"{self.root}/{key}")


class FolderStore:
    """A local copy of the bucket, as `aws s3 sync` makes it; its keys are relative paths."""

    def __init__(self, folder: Path) -> None:
        self.root = str(folder.resolve())

    def listed(self, prefix: str) -> dict[str, Stored]:
        """Return every file below a prefix. A file's tag is its time and size."""
        found: dict[str, Stored] = {}
        for folder, _, names in os.walk(f"{self.root}/{prefix}"):
            for path in (os.path.join(folder, name) for name in names):
                try:
                    seen = os.stat(path)
                except FileNotFoundError:  # removed since, or a link to nothing
                    continue
                if stat.S_ISREG(seen.st_mode):
                    key = path[len(self.root) + 1 :]
                    found[key] = Stored(f"{seen.st_mtime_ns}-{seen.st_size}", seen.st_size)
        return found

    def read(self, key: str) -> bytes:
        """Return a file's bytes.

        Raises:
            NotFound: the file does not exist.
            AccessDenied: it may not be read.
        """
        try:
            with open(f"{self.root}/{key}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound(f"nothing there: read {self.root}/{key}") from None
        except OSError as error:
            message = f"{self.root}/{key} could not be read"
            raise AccessDenied(message, got=type(error).__name__) from None


def open_store(evidence: str, *, region: str) -> Store:
    """Return the store of `s3://<bucket>/executions`, or of a folder that has `executions/` in it.

    Raises:
        UsageError: neither.
    """
    if evidence.startswith("s3://"):
        bucket, key = split_s3_uri(evidence)
        if key.strip("/") != "executions":
            raise UsageError(
                "the evidence URI was refused",
                expected="s3://<bucket>/executions",
                got=repr(evidence)[:200],
            )
        return BucketStore(bucket, region)
    folder = Path(evidence)
    if not (folder / "executions").is_dir():
        raise UsageError(
            "the evidence was not found",
            expected="s3://<bucket>/executions, or a folder with executions/ in it",
            got=repr(evidence)[:200],
        )
    return FolderStore(folder)


def in_order(store: Store, read: Callable[[_T], _U], items: Iterable[_T]) -> Iterator[_U]:
    """Read with several threads if each read waits for S3; yield in the order of the items."""
    if not store.root.startswith("s3://"):
        yield from map(read, items)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(read, items)


def _translated(error: Any, doing: str) -> GovernanceError:
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return Unavailable(
            f"S3 gave no answer: {doing}", got=named_loss(error), do="run again when S3 answers"
        )
    code = str(error.response["Error"]["Code"])
    if code in _DENIED:
        return AccessDenied(
            f"this identity was refused: {doing}",
            got=code,
            do="use an identity that may read the evidence bucket: scientist or auditor",
        )
    if code in _ABSENT:
        return NotFound(f"nothing there: {doing}", got=code)
    return GovernanceError(f"S3 refused: {doing}", got=code)
