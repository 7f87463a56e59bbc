"""Bring the index up to the evidence: read what is new or changed, keep the rest.

    index = refresh(store, folder, rebuild=False)
    index.rows, folder.notes

A document is read again if its entity tag or size differs from the index. Documents that cannot be
read stay in the index as unreadable, with the reason; those that could not be reached this time
(no right, no answer) are tried again next time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pyarrow as pa

from steps.governance.errors import AccessDenied, GovernanceError, NotFound
from steps.trace import documents
from steps.trace.index import filings
from steps.trace.index.files import Index, IndexFolder, Part
from steps.trace.index.memberships import read_memberships
from steps.trace.index.rows import TRY_AGAIN, Row
from steps.trace.store import Store, Stored, in_order

_MOST_PARTS = 8  # more are merged into one
_MEMBERSHIPS_AT_ONCE = 1_000  # that are in memory before they are written


@dataclass
class _Work:
    """What one refresh found."""

    rows: dict[str, Row] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    changed: bool = False


def refresh(store: Store, folder: IndexFolder, *, rebuild: bool = False) -> Index:
    """Return an index that has every document of the evidence.

    Raises:
        AccessDenied: the evidence may not be listed.
        Unavailable: S3 gave no answer.
        UsageError: the index folder cannot be written.
    """
    index = Index() if rebuild else folder.open() or Index()
    listed = _listed(store, folder.notes)
    work = _Work({row.key: row for row in index.rows}, list(index.parts))
    _drop_removed(work, listed, folder.notes)
    _read_documents(store, work, listed, folder.notes)
    _read_memberships(store, work, folder)
    if not work.changed and index.indexed_at:
        return index
    _merge(work, folder)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return folder.save(list(work.rows.values()), work.parts, now)


def _listed(store: Store, notes: list[str]) -> dict[str, Stored]:
    found = store.listed("executions/")
    try:
        found |= store.listed("approvals/")
    except (AccessDenied, NotFound) as error:
        notes.append(f"approvals could not be listed, so aliases lack them: {error.what}")
    return {key: stored for key, stored in found.items() if documents.kind_of(key)}


def _drop_removed(work: _Work, listed: Mapping[str, Stored], notes: list[str]) -> None:
    for key in work.rows.keys() - listed.keys():
        notes.append(f"{key} was indexed before and is gone from the evidence")
        del work.rows[key]
        work.changed = True


def _read_documents(
    store: Store, work: _Work, listed: Mapping[str, Stored], notes: list[str]
) -> None:
    wanted = [key for key, stored in listed.items() if not _is_current(work.rows.get(key), stored)]
    for row in in_order(store, lambda key: _row(store, key, listed[key]), wanted):
        before = work.rows.get(row.key)
        if before and before.etag != TRY_AGAIN and before.sha256 != row.sha256:
            notes.append(
                f"{row.key} has changed since it was indexed, from sha256 {before.sha256[:16]}… to "
                f"{row.sha256[:16] or 'unreadable'}…; it was read again"
            )
        work.rows[row.key] = row
        work.changed = True


def _is_current(row: Row | None, stored: Stored) -> bool:
    return row is not None and (row.etag, row.size) == (stored.etag, stored.size)


def _row(store: Store, key: str, stored: Stored) -> Row:
    kind = documents.kind_of(key) or ""
    try:
        content = store.read(key)
    except GovernanceError as error:
        return Row(key, TRY_AGAIN, stored.size, "", kind, f"not read: {error.what}")
    row = Row(key, stored.etag, stored.size, hashlib.sha256(content).hexdigest(), kind)
    try:
        return replace(
            row, facts=documents.facts_of(kind, key, content, origin=f"{store.root}/{key}")
        )
    except GovernanceError as error:
        reason = " ".join(str(error).split())[:400]
        return replace(row, unreadable=reason)


def _read_memberships(store: Store, work: _Work, folder: IndexFolder) -> None:
    known = frozenset().union(*(part.memberships for part in work.parts))
    wanted = {
        row.facts["membership_sha256"]: row
        for row in work.rows.values()
        if row.kind == "prepared" and not row.unreadable and row.facts["membership_sha256"]
    }
    missing = [row for sha256, row in wanted.items() if sha256 not in known]
    for start in range(0, len(missing), _MEMBERSHIPS_AT_ONCE):
        tables: dict[str, pa.Table] = {}
        some = missing[start : start + _MEMBERSHIPS_AT_ONCE]
        for row, found in read_memberships(store, some):
            if isinstance(found, Row):
                work.rows[row.key] = found
                work.changed = True
            else:
                tables[row.facts["membership_sha256"]] = found
        if tables:
            path = folder.temporary("filings")
            filings.write_part(path, tables)
            work.parts.append(Part(*folder.stored(path), frozenset(tables)))
            work.changed = True


def _merge(work: _Work, folder: IndexFolder) -> None:
    if len(work.parts) <= _MOST_PARTS:
        return
    try:
        paths = folder.paths(Index(parts=tuple(work.parts)))
    except (ValueError, OSError):
        return  # the next look-up finds the fault and rebuilds
    path = folder.temporary("filings")
    filings.merge_parts(path, paths)
    memberships = frozenset().union(*(part.memberships for part in work.parts))
    work.parts = [Part(*folder.stored(path), memberships)]
