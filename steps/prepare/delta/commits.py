"""Commits to a Delta log by delta-rs: at most one per execution and table, with any concurrency.

A commit is compare-and-swap. It is made as the version after a log that was seen to hold no commit
of this execution, or it fails (`max_commit_retries=0`), so nobody can slip in between, not even
the same execution running twice. delta-rs itself accepts a replayed transaction id, so the id only
makes the look-up cheap. After a lost answer the same loop finds its own commit.
"""

import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from steps.governance.documents.document import FileEntry
from steps.governance.errors import Conflict, Unavailable
from steps.governance.names import execution_id
from steps.prepare.delta import data_files, declarations
from steps.prepare.delta.store import (
    Commit,
    Content,
    Place,
    Provenance,
    same_content,
    user_metadata,
)
from steps.prepare.delta.tables import existing, not_committed, opened, storage
from steps.prepare.schemas import PARTITION

log = logging.getLogger(__name__)

_COMMIT_ATTEMPTS = 30
_COMMIT_WAIT_SECONDS = 0.05


class _CreatedMeanwhile(Exception):
    """Another execution created the table first."""


def commit(place: Place, content: Content, files: Sequence[FileEntry]) -> Commit:
    """Commit after a version that holds no commit of this execution; retry if another came first.

    Raises:
        Unavailable: other writers committed first, every time.
        GovernanceError: delta-rs refuses the commit, although no other writer was faster.
    """
    for _ in range(_COMMIT_ATTEMPTS):
        table = existing(place)
        found = commit_of(place, table, content.provenance)
        if found is not None:
            return found
        try:
            commit_once(place, table, content, files)
        except (CommitFailedError, _CreatedMeanwhile) as error:
            if not _went_on(place, table):  # nobody was faster: delta-rs will refuse it every time
                raise not_committed(place, error) from error
            log.info(
                "another commit to %s came first (%s), looking again",
                place.name,
                type(error).__name__,
            )
            spread = random.uniform(1, 3)  # noqa: S311 - not a secret: it spreads the writers
            time.sleep(spread * _COMMIT_WAIT_SECONDS)
    raise Unavailable(
        f"table {place.name} took no commit",
        expected=f"a free version within {_COMMIT_ATTEMPTS} attempts",
        got="other writers were faster each time",
        do="run again when fewer executions write to this table",
    )


def _went_on(place: Place, table: DeltaTable | None) -> bool:
    """Return whether the log has a version after `table`."""
    newest = existing(place)
    return newest is not None and (table is None or newest.version() > table.version())


def commit_once(
    place: Place, table: DeltaTable | None, content: Content, files: Sequence[FileEntry]
) -> None:
    """Commit as the version after `table`, or create the table; fail if another writer did so.

    Raises:
        Conflict: the table declares what cannot be honoured, or other rules than the rows were
            checked against.
    """
    schema, provenance = content.schema, content.provenance
    properties = CommitProperties(
        custom_metadata={**provenance.metadata(), "userMetadata": provenance.user_metadata()},
        max_commit_retries=0,
        app_transactions=[Transaction(provenance.execution_arn, 1)],
    )
    adds = [_add_action(file, provenance) for file in files]
    with storage(f"commit to table {place.name}"):
        if table is None:
            _create(place, Schema.from_json(schema.delta_json), adds, properties)
            return
        declarations.require_rules(
            place, declarations.checked(place, schema, declarations.of(table)), content.rules
        )
        # The table's own schema: with the comments and rules that its owner declared, which stay as
        # they are.
        table.create_write_transaction(
            [*adds], "append", table.schema(), [PARTITION], commit_properties=properties
        )


def _create(
    place: Place, columns: Schema, adds: list[AddAction], properties: CommitProperties
) -> None:
    options = place.access.storage_options()
    try:
        create_table_with_add_actions(
            place.location,
            columns,
            adds,
            "error",
            [PARTITION],
            storage_options=options,
            commit_properties=properties,
        )
    except DeltaError:
        if existing(place) is None:
            raise
        raise _CreatedMeanwhile from None


def commit_of(place: Place, table: DeltaTable | None, provenance: Provenance) -> Commit | None:
    """Return this execution's commit, or None; raise `Conflict` if it has other content."""
    found = earlier(place, table, provenance.execution_arn)
    if found is None:
        return None
    version, entry = found
    same_content(place, user_metadata(entry), provenance)
    with storage(f"read the log of table {place.name}"):
        return Commit(version, int(entry["timestamp"]), _files(opened(place, version), provenance))


def earlier(
    place: Place, table: DeltaTable | None, execution_arn: str
) -> tuple[int, dict[str, Any]] | None:
    """Return version and metadata of an execution's commit, if the log has one."""
    with storage(f"read the log of table {place.name}"):
        if table is None or table.transaction_version(execution_arn) is None:
            return None
        for version, entry in _commits(place, table):
            if user_metadata(entry).get("execution_arn") == execution_arn:
                return version, entry
    raise Conflict(
        f"this execution's commit to table {place.name} was removed from the log",
        expected="its commit file",
        got="only its transaction id",
        do="start a new execution",
    )


def _commits(place: Place, table: DeltaTable) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the metadata of each commit, newest first, as far as the log goes back.

    They are read from the log files, because delta-rs's `history()` counts down from the version
    that this table was opened at, but starts at the newest commit. So one commit of another writer
    in between shifts every number.
    """
    files = data_files.file_system(place.location, place.access.storage_options())
    for version in range(table.version(), -1, -1):
        try:
            with files.open_input_file(f"_delta_log/{version:020}.json") as commit:
                actions = [json.loads(line) for line in commit.read().splitlines() if line.strip()]
        except FileNotFoundError:
            return
        yield from ((version, action["commitInfo"]) for action in actions if "commitInfo" in action)


def _add_action(file: FileEntry, provenance: Provenance) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={PARTITION: execution_id(provenance.execution_arn)},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def _files(table: DeltaTable, provenance: Provenance) -> tuple[FileEntry, ...]:
    """Return the files of this execution's partition; their names are their sha256."""
    partition = f"{PARTITION}={execution_id(provenance.execution_arn)}/"
    added = (
        pa.table(table.get_add_actions(flatten=True))
        .select(["path", "size_bytes", "num_records"])
        .to_pylist()
    )
    entries = (
        FileEntry(
            path=file["path"],
            size=file["size_bytes"],
            sha256=file["path"].removesuffix(".parquet")[-64:],
            rows=file["num_records"],
        )
        for file in added
        if file["path"].startswith(partition)
    )
    return tuple(sorted(entries, key=lambda file: file.path))
