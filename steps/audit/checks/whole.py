"""Checks beyond a single record: the bucket, the set of records, versions and approvals."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from steps.audit.case import Case
from steps.audit.context import Context
from steps.audit.findings import Blocked, Comparison, Note
from steps.audit.ledger import PREFIX, payload
from steps.governance.documents import canonical
from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.record import Record
from steps.governance.errors import NotFound
from steps.governance.names import UcName

_RECORD = re.compile(r"(?P<folder>.+/[a-z0-9]{12})/register/record\.json")
_APPROVALS = "approvals/"
_READY = ("READY", "ready")


@dataclass(frozen=True)
class Whole:
    """The evidence as a whole: its records that can be read, and all cases."""

    context: Context
    cases: list[Case]

    @cached_property
    def records(self) -> dict[str, Record]:
        """The records by their keys; a record that cannot be read is reported by its own check."""
        found = {}
        for case in self.cases:
            try:
                found[case.key] = case.record
            except (Blocked, NotFound):
                continue
        return found


@dataclass(frozen=True)
class Model:
    """One registered model, and the evidence about it."""

    whole: Whole
    name: str

    @cached_property
    def records(self) -> dict[str, Record]:
        """The records of this model by their keys."""
        found = self.whole.records
        return {key: each for key, each in found.items() if each.model.name == self.name}


def record_keys(context: Context) -> list[str]:
    """Return the key of each record in the evidence bucket."""
    prefix = f"{context.executions}/"
    return sorted(
        key
        for key, stored in context.evidence.items()
        if key.startswith(prefix) and _RECORD.fullmatch(key) and stored.size is not None
    )


def bucket_lock(context: Context) -> Comparison:
    """The evidence bucket keeps every version, and locks each object for the declared days."""
    rules = context.services.store.rules(context.bucket)
    days = context.arguments.object_lock_days
    locked = rules["mode"] in ("GOVERNANCE", "COMPLIANCE") and (rules["days"] or 0) >= days
    return Comparison(
        f"s3://{context.bucket}",
        [
            ("versioning", "Enabled", rules["versioning"]),
            (
                "object lock",
                f"at least {days} days",
                f"at least {days} days" if locked else f"{rules['mode']} {rules['days']} days",
            ),
        ],
    )


def records_complete(whole: Whole) -> Comparison:
    """Records and the ledger's registrations are the same set. Version 1 has no entries."""
    context = whole.context
    entries = {
        each.entry.document
        for each in context.ledger.entries
        if each.entry is not None and each.entry.kind == "registration"
    }
    stored = {case.key for case in whole.cases}
    unsigned = {key for key, record in whole.records.items() if record.ledger is None}
    incomplete = {
        case.key
        for case in whole.cases
        if case.key in stored - entries - unsigned and (is_running(case) or is_withdrawn(case))
    }
    return Comparison(
        f"{context.uri(context.executions)}, {context.uri(PREFIX)}",
        [
            ("records without an entry", [], sorted(stored - entries - unsigned - incomplete)),
            ("entries without a record", [], sorted(entries - stored)),
        ],
        summary=f"{len(stored)} records",
    )


def versions_recorded(model: Model) -> Comparison:
    """Each READY version has one record, and each record its version."""
    registry = model.whole.context.services.registry
    ready = {each.version for each in registry.versions(model.name) if each.status in _READY}
    recorded = sorted(each.model.version for each in model.records.values())
    unrecorded = [each for each in sorted(ready - set(recorded)) if not _is_being_made(model, each)]
    repeated = sorted({each for each in recorded if recorded.count(each) > 1})
    return Comparison(
        model.name,
        [
            ("versions without a record", [], unrecorded),
            ("records without a version", [], sorted(set(recorded) - ready)),
            ("versions with two records", [], repeated),
        ],
        summary=f"{len(ready)} versions",
    )


def approval_documents(whole: Whole) -> Comparison | Note:
    """Each approval is signed by the approvers' key, in the ledger, and about a stored record."""
    context = whole.context
    keys = sorted(
        key
        for key, stored in context.evidence.items()
        if key.startswith(_APPROVALS) and stored.size is not None
    )
    if not keys:
        return Note("no approvals", context.uri(_APPROVALS))
    pairs: list[tuple[str, object, object]] = []
    for key in keys:
        stored = context.evidence[key]
        pairs.append((f"writes of {key}", (1, 0), (stored.versions, stored.deletions)))
        pairs += _approval_pairs(whole, key)
    return Comparison(context.uri(_APPROVALS), pairs, summary=f"{len(keys)} approvals")


def _approval_pairs(whole: Whole, key: str) -> Iterable[tuple[str, object, object]]:
    context = whole.context
    uri = context.uri(key)
    content = context.document(key)
    envelope = Envelope.from_bytes(content, origin=uri)
    approval = Approval.from_bytes(payload(envelope, uri), origin=uri)
    record = whole.records.get(approval.record)
    case = next((each for each in whole.cases if each.key == approval.record), None)
    kind = "approval" if approval.action == "approve" else "revocation"
    entries = [each.entry.kind for each in context.ledger.of_document(key) if each.entry]
    yield f"canonical bytes of {key}", envelope.sha256, canonical.sha256(content)
    yield f"type of {key}", PAYLOAD_TYPE, envelope.payload_type
    yield f"signature of {key}", True, context.approval.signed(envelope)
    yield f"entries of {key}", [kind], entries
    yield (
        f"place of {key}",
        f"{_APPROVALS}{approval.model}/{approval.version}",
        key.rsplit("/", 1)[0],
    )
    yield (
        f"record of {key}",
        (approval.model, approval.version),
        (record.model.name, record.model.version) if record else None,
    )
    found = canonical.sha256(case.content) if case is not None and record else None
    yield f"digest of the record of {key}", approval.record_sha256, found


def is_running(case: Case) -> bool:
    """Whether the record's execution still runs."""
    try:
        return case.unfinished
    except NotFound:
        return False


def is_withdrawn(case: Case) -> bool:
    """Whether Register took the record's version back."""
    try:
        return case.withdrawn
    except NotFound:
        return False


def _is_being_made(model: Model, number: int) -> bool:
    """Whether the execution that a version's tag names still runs."""
    services = model.whole.context.services
    arn = services.registry.version(model.name, number).tags.get("execution_arn")
    if not arn:
        return False
    try:
        return services.jobs.status(arn) in ("Executing", "Stopping")
    except NotFound:
        return False


def models(whole: Whole) -> list[Model]:
    """Return the configured model and every model that a record names."""
    names = {each.model.name for each in whole.records.values()}
    configured = whole.context.arguments.model_name
    UcName.parse(configured)
    return [Model(whole, name) for name in sorted(names | {configured})]
