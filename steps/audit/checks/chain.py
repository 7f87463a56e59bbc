"""Checks of the ledger: its chain, its signatures, its documents, and each record's own entry."""

from collections import Counter

from steps.audit.case import Case
from steps.audit.context import Context
from steps.audit.findings import Comparison, Differs, Note
from steps.audit.ledger import PREFIX, pinned
from steps.governance.documents import canonical
from steps.governance.documents.ledger import FIRST_PREVIOUS
from steps.governance.errors import NotFound

_TAG = "ledger_entry"


def ledger_chain(context: Context) -> Comparison:
    """Entries count from 1 without a gap, and each has the digest of the one before."""
    ledger, where = context.ledger, context.uri(PREFIX)
    pairs: list[tuple[str, object, object]] = [("other keys", [], ledger.foreign)]
    for key, stored in context.evidence.items():
        if key.startswith(PREFIX) and (stored.versions, stored.deletions) != (1, 0):
            text = f"{stored.versions} versions, {stored.deletions} deletions"
            pairs.append((f"fork at {key}", "1 version, 0 deletions", text))
    previous = FIRST_PREVIOUS
    for expected, each in enumerate(ledger.entries, 1):
        if each.entry is None:
            raise Differs("a ledger entry", each.fault, context.uri(each.key))
        if each.number != expected:
            raise Differs(f"entry {expected}", f"a gap before entry {each.number}", where)
        pairs.append((f"number in {each.key}", each.number, each.entry.number))
        if each.entry.previous_sha256 != previous:
            raise Differs(
                f"entry {expected} after {previous[:12]}",
                f"a fork: it follows {each.entry.previous_sha256[:12]}",
                context.uri(each.key),
            )
        previous = each.sha256
    return Comparison(where, pairs, summary=f"{len(ledger.entries)} entries")


def ledger_signature(context: Context) -> Comparison:
    """Each entry is signed by the pinned key of its kind."""
    pairs: list[tuple[str, object, object]] = []
    for each in context.ledger.entries:
        if each.entry is None or each.envelope is None:
            raise Differs("a signed entry", each.fault, context.uri(each.key))
        key = pinned(context, each.entry)
        pairs.append(
            (
                f"signature of entry {each.number} ({each.entry.kind}) by {key.keyid[:12]}",
                True,
                key.signed(each.envelope),
            )
        )
    return Comparison(context.uri(PREFIX), pairs, summary=f"{len(pairs)} signatures")


def ledger_documents(context: Context) -> Comparison:
    """Each entry's document is stored with the digest that the entry has, and has one entry."""
    entries = [each.entry for each in context.ledger.entries if each.entry is not None]

    def digest(document: str) -> str:
        try:
            return canonical.sha256(context.document(document))
        except NotFound:
            return "missing"

    found = context.each(lambda entry: digest(entry.document), entries)
    pairs: list[tuple[str, object, object]] = [
        (entry.document, entry.document_sha256, sha256)
        for entry, sha256 in zip(entries, found, strict=True)
    ]
    names = Counter(entry.document for entry in entries)
    repeated = sorted(name for name, count in names.items() if count > 1)
    pairs.append(("documents with two entries", [], repeated))
    return Comparison(context.uri(PREFIX), pairs, summary=f"{len(entries)} documents")


def ledger_entry(case: Case) -> Comparison | Note:
    """The record has one entry, after the head that it saw."""
    record, ledger = case.record, case.context.ledger
    if record.ledger is None:
        return Note("not recorded (version 1)", case.uri)
    own = ledger.of_document(case.key)
    if not own and case.incomplete:
        return Note(f"not in the ledger: {case.incomplete}", case.uri)
    if len(own) != 1 or own[0].entry is None:
        raise Differs("one entry of this record", f"{len(own)} entries", case.context.uri(PREFIX))
    seen = ledger.numbered(record.ledger.number)
    head = seen.sha256 if seen else FIRST_PREVIOUS if not record.ledger.number else "missing"
    return Comparison(
        case.context.uri(own[0].key),
        [
            ("kind", "registration", own[0].entry.kind),
            ("sha256", canonical.sha256(case.content), own[0].entry.document_sha256),
            ("after the head that it saw", True, own[0].number > record.ledger.number),
            (f"head {record.ledger.number}", record.ledger.sha256, head),
        ],
    )


def ledger_published(case: Case) -> Comparison | Note:
    """The entry that the version's tag publishes is in the ledger, byte for byte."""
    record = case.record
    where = f"tag {_TAG} of {record.model.name} version {record.model.version}"
    if record.ledger is None:
        return Note("not recorded (version 1)", where)
    found = case.version.tags.get(_TAG)
    if found is None and case.incomplete:
        return Note(f"not published: {case.incomplete}", where)
    own = case.context.ledger.of_document(case.key)
    expected = f"{own[0].number}:{own[0].sha256}" if own else "an entry of this record"
    return Comparison(where, [("entry", expected, found)])
