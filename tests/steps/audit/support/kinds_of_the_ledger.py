"""Kinds of tampering with the ledger, the approvals, the signatures, the keys and the bucket."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steps.governance.documents import ledger
from steps.governance.documents.approval import PAYLOAD_TYPE
from steps.governance.documents.envelope import IN_TOTO, Envelope
from tests.steps.audit.support.history import register
from tests.steps.audit.support.tampering import (
    Applied,
    Change,
    Tamper,
    added,
    flipped,
    replaced,
    truncated,
    written_twice,
)
from tests.steps.audit.support.world import EVIDENCE, Entry, Signer, World

Apply = Callable[[World, Entry], Applied]


def _entry(number: int, change: Change | None) -> Apply:
    return lambda world, entry: replaced(world, f"ledger/{ledger.name(number)}", change)


def _last(change: Callable[[World, bytes], bytes] | None) -> Apply:
    """Another entry in place of the last approval or revocation."""

    def apply(world: World, entry: Entry) -> Applied:
        key = f"ledger/{ledger.name(world.decided)}"
        return replaced(world, key, None if change is None else lambda old: change(world, old))

    return apply


@contextmanager
def _tail_deleted(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    made = register(world, "edgar.models.false")
    with replaced(world, f"ledger/{ledger.name(world.numbers)}", None):
        yield {"target": made.target}


@contextmanager
def _tail_of_another_deleted(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    register(world, "edgar.models.false")
    with replaced(world, f"ledger/{ledger.name(world.numbers)}", None):
        yield {}


def _resigned(signer: str, **fields: Any) -> Callable[[World, bytes], bytes]:
    """An entry with other fields, signed by a key: `signing`, `approving` or a new one."""

    def change(world: World, content: bytes) -> bytes:
        envelope = Envelope.from_bytes(content, origin="test")
        entry = ledger.Entry.from_bytes(envelope.content, origin="test")
        key = getattr(world, signer) if signer else Signer()
        changed = entry.model_copy(update=fields)
        made: bytes = key.envelope(changed.to_bytes(), ledger.PAYLOAD_TYPE)
        return made

    return change


def _envelope(change: Callable[[World, Envelope], bytes]) -> Apply:
    """Another envelope of the record."""

    def apply(world: World, entry: Entry) -> Applied:
        key = entry.key("register/record.dsse.json")

        def changed(content: bytes) -> bytes:
            return change(world, Envelope.from_bytes(content, origin="test"))

        return replaced(world, key, changed)

    return apply


def _statement(**fields: Any) -> Callable[[World, Envelope], bytes]:
    """A statement with other fields, signed by the right key."""

    def change(world: World, envelope: Envelope) -> bytes:
        document = json.loads(envelope.content) | fields
        content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        return world.signing.envelope(content, IN_TOTO)

    return change


def _keyid_changed(world: World, envelope: Envelope) -> bytes:
    wrong = envelope.signatures[0].model_copy(update={"keyid": "0" * 64})
    return envelope.model_copy(update={"signatures": [wrong]}).to_bytes()


def _signature_changed(world: World, envelope: Envelope) -> bytes:
    sig = base64.b64encode(flipped(base64.b64decode(envelope.signatures[0].sig))).decode()
    wrong = envelope.signatures[0].model_copy(update={"sig": sig})
    return envelope.model_copy(update={"signatures": [wrong]}).to_bytes()


def _of_another_record(world: World, entry: Entry) -> Applied:
    other = world.entries[0].key("register/record.dsse.json")
    content = world.read(other)
    return replaced(world, entry.key("register/record.dsse.json"), lambda _: content)


def _approval(change: Callable[[World, bytes], bytes] | None) -> Apply:
    def apply(world: World, entry: Entry) -> Applied:
        model = entry.record.model
        key = f"approvals/{model.name}/{model.version}/1.json"
        return replaced(world, key, None if change is None else lambda old: change(world, old))

    return apply


def _approval_resigned(signer: str, **fields: Any) -> Callable[[World, bytes], bytes]:
    def change(world: World, content: bytes) -> bytes:
        document = json.loads(Envelope.from_bytes(content, origin="test").content) | fields
        payload = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        key = getattr(world, signer) if signer else Signer()
        made: bytes = key.envelope(payload, PAYLOAD_TYPE)
        return made

    return change


def _approval_copied(world: World, entry: Entry) -> Applied:
    model = entry.record.model
    content = world.read(f"approvals/{model.name}/{model.version}/1.json")
    return added(world, f"approvals/{model.name}/{model.version}/2.json", content)


def _pinned(**names: str) -> Apply:
    """Conf with another key than the one that signed."""

    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        yield {name: base64.b64encode(Signer().der).decode() for name in names}

    return apply


@contextmanager
def _keys_exchanged(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    settings = world.settings()
    yield {
        "signing_public_key": settings.approval_public_key,
        "approval_public_key": settings.signing_public_key,
    }


@contextmanager
def _unlocked(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    enabled = {"ObjectLockEnabled": "Enabled"}
    world.s3.put_object_lock_configuration(Bucket=EVIDENCE, ObjectLockConfiguration=enabled)
    try:
        yield {}
    finally:
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        world.s3.put_object_lock_configuration(
            Bucket=EVIDENCE, ObjectLockConfiguration=enabled | {"Rule": rule}
        )


@contextmanager
def _shorter_lock(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    yield {"object_lock_days": 3650}


_ZEROS = "0" * 64
LEDGER: list[Tamper] = [
    Tamper("ledger: an entry deleted", "ledger.chain", _entry(2, None)),
    Tamper("ledger: the first entry deleted", "ledger.chain", _entry(1, None)),
    Tamper("ledger: own entry deleted", "ledger.entry", _entry(2, None)),
    Tamper("ledger: own entry deleted, tag", "ledger.published", _entry(2, None)),
    Tamper("ledger: truncated entry", "ledger.chain", _entry(2, truncated)),
    Tamper("ledger: one bit", "ledger.signature", _entry(2, flipped)),
    Tamper("ledger: a blank at the end", "ledger.chain", _last(lambda _, old: old + b" ")),
    Tamper("ledger: no JSON", "ledger.signature", _entry(2, lambda _: b"\x00")),
    Tamper(
        "ledger: an entry written twice",
        "ledger.chain",
        lambda world, entry: written_twice(world, f"ledger/{ledger.name(1)}"),
    ),
    Tamper(
        "ledger: another key in the folder",
        "ledger.chain",
        lambda world, entry: added(world, "ledger/extra.json", b"{}"),
    ),
    Tamper("ledger: a fork", "ledger.chain", _last(_resigned("approving", previous_sha256=_ZEROS))),
    Tamper("ledger: another number", "ledger.chain", _last(_resigned("approving", number=77))),
    Tamper("ledger: an unknown key", "ledger.signature", _last(_resigned(""))),
    Tamper("ledger: the key of records", "ledger.signature", _last(_resigned("signing"))),
    Tamper(
        "ledger: another digest",
        "ledger.documents",
        _last(_resigned("approving", document_sha256=_ZEROS)),
    ),
    Tamper(
        "ledger: a document that is missing",
        "ledger.documents",
        _last(_resigned("approving", document="approvals/none/1/1.json")),
    ),
    Tamper(
        "ledger: a registration without a record",
        "records.complete",
        _last(
            _resigned(
                "signing",
                kind="registration",
                document="executions/aaaaaaaaaaaa/register/record.json",
            )
        ),
    ),
    Tamper("ledger: a decision deleted", "approval.documents", _last(None)),
    Tamper("ledger: the last entry deleted", "records.complete", _tail_deleted),
    Tamper("ledger: another model's deleted", "records.complete", _tail_of_another_deleted),
    Tamper(
        "envelope: signed by an unknown key",
        "record.signature",
        _envelope(lambda world, envelope: Signer().envelope(envelope.content, IN_TOTO)),
    ),
    Tamper(
        "envelope: signed by the approvers' key",
        "record.signature",
        _envelope(lambda world, envelope: world.approving.envelope(envelope.content, IN_TOTO)),
    ),
    Tamper(
        "envelope: another payload type",
        "record.signature",
        _envelope(lambda world, envelope: world.signing.envelope(envelope.content, "text/plain")),
    ),
    Tamper("envelope: another key id", "record.signature", _envelope(_keyid_changed)),
    Tamper("envelope: another signature", "record.signature", _envelope(_signature_changed)),
    Tamper("envelope: of another record", "record.statement", _of_another_record),
    Tamper("statement: no subject", "record.statement", _envelope(_statement(subject=[]))),
    Tamper(
        "statement: another predicate",
        "record.statement",
        _envelope(_statement(predicateType="https://example.com/none")),
    ),
    Tamper(
        "statement: another digest",
        "record.statement",
        _envelope(_statement(subject=[{"name": "x", "digest": {"sha256": _ZEROS}}])),
    ),
    Tamper("approval: deleted", "ledger.documents", _approval(None)),
    Tamper(
        "approval: a blank at the end", "approval.documents", _approval(lambda _, old: old + b" ")
    ),
    Tamper("approval: truncated", "approval.documents", _approval(lambda _, old: truncated(old))),
    Tamper("approval: an unknown key", "approval.documents", _approval(_approval_resigned(""))),
    Tamper(
        "approval: the key of records",
        "approval.documents",
        _approval(_approval_resigned("signing")),
    ),
    Tamper(
        "approval: of another record",
        "approval.documents",
        _approval(_approval_resigned("approving", record_sha256=_ZEROS)),
    ),
    Tamper(
        "approval: another reason",
        "ledger.documents",
        _approval(_approval_resigned("approving", reason="none")),
    ),
    Tamper("approval: used again", "approval.documents", _approval_copied),
    Tamper("key: of records", "record.signature", _pinned(signing_public_key="")),
    Tamper("key: of the ledger", "ledger.signature", _pinned(signing_public_key="")),
    Tamper("key: of approvals", "approval.documents", _pinned(approval_public_key="")),
    Tamper("key: both exchanged", "ledger.signature", _keys_exchanged),
    Tamper("bucket: no lock", "bucket.lock", _unlocked),
    Tamper("bucket: a shorter lock", "bucket.lock", _shorter_lock),
]
