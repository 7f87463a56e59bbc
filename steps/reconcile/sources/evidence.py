"""The evidence bucket: which documents there are, the records, the ledger, the leases. Reads only.

A document that cannot be read is kept with its reason: the comparisons that need it are
left out, and the others are made.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steps.governance import aws
from steps.governance.documents import canonical
from steps.governance.documents.approval import Approval
from steps.governance.documents.document import Part, validated
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.ledger import Entry
from steps.governance.documents.record import Record
from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.files import split_s3_uri
from steps.reconcile.differences import one_line

_LEDGER, _APPROVALS = "ledger/", "approvals/"
_ENTRY = re.compile(r"ledger/[0-9]{12}\.json")
_RECORD = re.compile(r"(?P<id>[^/]+)/register/record\.json")
_LEASE = re.compile(r"(?P<id>[^/]+)/register/leases/[0-9]{6}\.json")
_MOST_BYTES = 64 * 1024 * 1024
_THREADS = 8
LEASE_SECONDS = 60  # longer than any worker's lease


class _Holder(Part):
    held: bool
    owner: str


@dataclass(frozen=True)
class Recorded:
    """A record as it is stored: its key, its execution's id and the sha256 of its bytes."""

    key: str
    execution: str
    sha256: str
    record: Record


@dataclass(frozen=True)
class Entered:
    """One ledger entry and the sha256 of its stored bytes; `approval` is what it is about."""

    entry: Entry
    sha256: str
    approval: Approval | None = None

    @property
    def tag(self) -> str:
        """The value of the version's tag: `<number>:<sha256>`."""
        return f"{self.entry.number}:{self.sha256}"


@dataclass(frozen=True)
class Evidence:
    """The bucket at one moment. Keys are S3 keys, `unread` has the reason by key."""

    prefix: str
    keys: dict[str, datetime]
    records: dict[str, Recorded] = field(default_factory=dict)  # by the execution's id
    ledger: list[Entered] = field(default_factory=list)
    held: set[str] = field(default_factory=set)  # ids of executions whose lease is held
    unread: dict[str, str] = field(default_factory=dict)

    def has(self, execution: str, name: str) -> bool:
        """Whether an execution has this document."""
        return f"{self.prefix}{execution}/{name}" in self.keys

    @property
    def folders(self) -> set[str]:
        """The ids of executions that have any evidence."""
        found = [key for key in self.keys if key.startswith(self.prefix)]
        return {key.removeprefix(self.prefix).split("/", 1)[0] for key in found}

    def entries_of(self, key: str) -> list[Entered]:
        """Return the ledger's entries about a document."""
        return [each for each in self.ledger if each.entry.document == key]

    def approvals(self) -> list[str]:
        """Return the key of each stored decision."""
        return sorted(key for key in self.keys if key.startswith(_APPROVALS))


class EvidenceReader:
    """Reads the whole bucket; small documents only, eight at a time."""

    def __init__(self, region: str, evidence_uri: str) -> None:
        self._s3 = aws.client("s3", region)
        self._bucket, prefix = split_s3_uri(evidence_uri)
        self._prefix = prefix.rstrip("/") + "/"

    def read(self, execution: str | None = None) -> Evidence:
        """Return the evidence of all executions, or of one, with the whole ledger.

        Raises:
            AccessDenied: the role may not list the bucket.
        """
        keys: dict[str, datetime] = {}
        for prefix in (f"{self._prefix}{execution or ''}", _LEDGER, _APPROVALS):
            keys |= self._listed(prefix)
        found = Evidence(self._prefix, keys)
        own = [(key, key.removeprefix(self._prefix)) for key in keys]
        with ThreadPoolExecutor(_THREADS) as pool:
            records = [
                (key, match["id"]) for key, name in own if (match := _RECORD.fullmatch(name))
            ]
            for key, stored in pool.map(lambda pair: self._record(*pair), records):
                _keep(found.records, found.unread, key, stored)
            entries: dict[str, Entered] = {}
            for key, entered in pool.map(self._entry, filter(_ENTRY.fullmatch, sorted(keys))):
                _keep(entries, found.unread, key, entered)
        found.ledger.extend(sorted(entries.values(), key=lambda each: each.entry.number))
        found.held.update(self._held(own))
        return found

    def _listed(self, prefix: str) -> dict[str, datetime]:
        with aws.translated(f"list s3://{self._bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return {
                str(each["Key"]): each["LastModified"]
                for page in pages
                for each in page.get("Contents", [])
            }

    def _content(self, key: str) -> bytes:
        with aws.translated(f"read s3://{self._bucket}/{key}"):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            content = bytes(body.read(_MOST_BYTES + 1))
        if len(content) > _MOST_BYTES:
            raise IntegrityError(f"{key} is too large", expected=f"at most {_MOST_BYTES} bytes")
        return content

    def _record(self, key: str, execution: str) -> tuple[str, Recorded | str]:
        try:
            content = self._content(key)
            record = Record.from_bytes(content, origin=key)
        except GovernanceError as error:
            return key, one_line(error)
        return execution, Recorded(key, execution, canonical.sha256(content), record)

    def _entry(self, key: str) -> tuple[str, Entered | str]:
        try:
            content = self._content(key)
            entry = Entry.from_bytes(_payload(content, key), origin=key)
            approval = None
            if entry.kind != "registration":
                decided = _payload(self._content(entry.document), entry.document)
                approval = Approval.from_bytes(decided, origin=entry.document)
        except GovernanceError as error:
            return key, one_line(error)
        return key, Entered(entry, canonical.sha256(content), approval)

    def _held(self, own: list[tuple[str, str]]) -> set[str]:
        """The ids of executions whose last lease entry is held and not older than a lease."""
        last = {match["id"]: key for key, name in sorted(own) if (match := _LEASE.fullmatch(name))}
        held = set()
        for execution, key in last.items():
            with aws.translated(f"read s3://{self._bucket}/{key}"):
                answer = self._s3.get_object(Bucket=self._bucket, Key=key)
                content, changed = answer["Body"].read(1000), answer["LastModified"]
            if (datetime.now(UTC) - changed).total_seconds() > LEASE_SECONDS:
                continue
            try:
                if validated(_Holder, content).held:
                    held.add(execution)
            except ValueError:
                held.add(execution)  # not ours: the worker refuses it too
        return held


def _payload(content: bytes, origin: str) -> bytes:
    envelope = Envelope.from_bytes(content, origin=origin)
    try:
        return envelope.content
    except ValueError:
        raise IntegrityError(f"the payload at {origin} is not base64") from None


def _keep(found: dict[str, Any], unread: dict[str, str], key: str, value: object) -> None:
    if isinstance(value, str):
        unread[key] = value
    else:
        found[key] = value
