"""The ledger as it is stored: each entry with its bytes, or the reason why it cannot be read."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steps.audit.signature import PublicKey
from steps.governance.documents import canonical
from steps.governance.documents.approval import Approval
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.ledger import PAYLOAD_TYPE, Entry
from steps.governance.errors import GovernanceError, IntegrityError

if TYPE_CHECKING:
    from steps.audit.context import Context

PREFIX = "ledger/"
_NAME = re.compile(r"(?P<number>[0-9]{12})\.json")


@dataclass(frozen=True)
class StoredEntry:
    """One stored entry. Without `entry`, `fault` has the reason."""

    key: str
    number: int
    sha256: str
    envelope: Envelope | None = None
    entry: Entry | None = None
    fault: str = ""


@dataclass(frozen=True)
class Ledger:
    """Entries in the order of their numbers, and keys of the folder that are not entries."""

    entries: list[StoredEntry]
    foreign: list[str]
    approvals: dict[str, Approval] = field(default_factory=dict)  # by key of the document

    def of_document(self, key: str) -> list[StoredEntry]:
        """Return the entries about a document."""
        return [each for each in self.entries if each.entry and each.entry.document == key]

    def numbered(self, number: int) -> StoredEntry | None:
        """Return the entry of a number, or None."""
        return next((each for each in self.entries if each.number == number), None)


def read_ledger(context: "Context") -> Ledger:
    """Read all entries, and the approvals that they name."""
    keys = sorted(
        key
        for key, stored in context.evidence.items()
        if key.startswith(PREFIX) and stored.size is not None
    )
    names = {key: _NAME.fullmatch(key.removeprefix(PREFIX)) for key in keys}
    entries = context.each(
        lambda key: _entry(context, key), [key for key in keys if names[key] is not None]
    )
    approvals = {}
    for entry in entries:
        if entry.entry is not None and entry.entry.kind != "registration":
            approval = _approval(context, entry.entry)
            if approval is not None:
                approvals[entry.entry.document] = approval
    return Ledger(
        sorted(entries, key=lambda each: each.number),
        [key for key in keys if names[key] is None],
        approvals,
    )


def pinned(context: "Context", entry: Entry) -> PublicKey:
    """Return the key that signs entries of this kind."""
    return context.signing if entry.kind == "registration" else context.approval


def _entry(context: "Context", key: str) -> StoredEntry:
    number = int(key.removeprefix(PREFIX).removesuffix(".json"))
    uri = context.uri(key)
    content = context.services.store.read(uri)
    sha256 = canonical.sha256(content)
    try:
        envelope = Envelope.from_bytes(content, origin=uri)
        if envelope.payload_type != PAYLOAD_TYPE:
            return StoredEntry(key, number, sha256, envelope, fault=f"type {envelope.payload_type}")
        if envelope.to_bytes() != content:
            return StoredEntry(key, number, sha256, envelope, fault="bytes that are not canonical")
        entry = Entry.from_bytes(payload(envelope, uri), origin=uri)
    except IntegrityError as error:
        return StoredEntry(key, number, sha256, fault=" ".join(str(error).split()))
    return StoredEntry(key, number, sha256, envelope, entry)


def payload(envelope: Envelope, origin: str) -> bytes:
    """Return an envelope's payload.

    Raises:
        IntegrityError: it is not base64.
    """
    try:
        return envelope.content
    except ValueError:
        raise IntegrityError(f"the payload at {origin} is not base64") from None


def _approval(context: "Context", entry: Entry) -> Approval | None:
    """The approval that an entry names; None if another check reports it."""
    uri = context.uri(entry.document)
    try:
        envelope = Envelope.from_bytes(context.document(entry.document), origin=uri)
        return Approval.from_bytes(payload(envelope, uri), origin=uri)
    except GovernanceError:
        return None
