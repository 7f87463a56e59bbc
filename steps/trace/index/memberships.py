"""The membership files of manifests: read, compared with the manifests' digests, and checked.

    for row, found in read_memberships(store, rows): …     # pa.Table, or the row with a reason

Rows are checked some tens of thousands at a time: a call for each small file would cost more.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa

from steps.governance.errors import GovernanceError
from steps.trace.index.filings import COLUMNS
from steps.trace.index.rows import TRY_AGAIN, Row
from steps.trace.store import Store, in_order

_ROWS_AT_ONCE = 65_536

Found = tuple[Row, pa.Table | Row]


def read_memberships(store: Store, rows: Sequence[Row]) -> Iterator[Found]:
    """Yield each manifest's row with its filings, or with itself and why they are unknown."""
    waiting: list[tuple[Row, pa.Table]] = []
    for row, found in zip(rows, in_order(store, partial(_unchecked, store), rows), strict=True):
        if isinstance(found, Row):
            yield row, found
            continue
        waiting.append((row, found))
        if sum(len(table) for _, table in waiting) >= _ROWS_AT_ONCE:
            yield from _checked(store, waiting)
            waiting = []
    yield from _checked(store, waiting)


def _unchecked(store: Store, row: Row) -> pa.Table | Row:
    from steps.governance.documents import (
        membership,  # pydantic; an answer from the index does not need it
    )

    key = _key(row)
    try:
        content = _as_recorded(store.read(key), row.facts["membership_sha256"])
        return membership.unchecked(content, origin=f"{store.root}/{key}")
    except (GovernanceError, ValueError) as error:
        return _unknown(store, row, error)


def _as_recorded(content: bytes, sha256: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("its sha256 differs from the manifest's")
    return content


def _checked(store: Store, waiting: Sequence[tuple[Row, pa.Table]]) -> Iterator[Found]:
    from steps.governance.documents import membership

    tables = [table for _, table in waiting]
    errors = membership.faults(tables, [f"{store.root}/{_key(row)}" for row, _ in waiting])
    for (row, table), error in zip(waiting, errors, strict=True):
        yield row, table.select(COLUMNS) if error is None else _unknown(store, row, error)


def _unknown(store: Store, row: Row, error: Exception) -> Row:
    reason = error.what if isinstance(error, GovernanceError) else str(error)
    text = f"its filings are unknown: {store.root}/{_key(row)}: {reason}"
    return replace(row, etag=TRY_AGAIN, unreadable=text)


def _key(row: Row) -> str:
    return f"{row.key.rsplit('/', 1)[0]}/{row.facts['membership']}"
