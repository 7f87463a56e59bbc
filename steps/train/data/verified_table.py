"""The examples of this execution, and proof that they are the ones Prepare made, before the first training step.

    for batch in stream(manifest, table, access, execution_arn=…):      # pa.RecordBatch, fields of `curated.Example`
        ...
    # only here, past the last batch, is all of it proven

A Delta version is a pointer, not evidence. So: the manifest is of our execution; the commit at its version is of our
execution; the live files of our partition are exactly the manifest's; and every file's bytes have the manifest's
sha256. What was hashed is what is parsed: the bytes are streamed once, into an unnamed temporary file, one data file
after the other, so memory does not grow with the table.

The commit is read from its own log entry. `DeltaTable.history()` of delta-rs 1.6 gives, for a table opened at an older
version, the newest commits under the older versions' numbers.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from steps.governance.catalog import Table
from steps.governance.checkpoint_hint import past_hint
from steps.governance.errors import IntegrityError
from steps.governance.manifest import FileEntry, Prepared
from steps.governance.names import UcName, execution_id
from steps.train import full_disk
from steps.train.data import curated_rows
from steps.train.data.table_errors import translated

_CHUNK_BYTES = 1024 * 1024
_SPOOL_BYTES = 4 * 1024 * 1024  # held in memory up to here, on the job's encrypted volume beyond


class ReadAccess(Protocol):
    """The right to read one table's files, renewed by itself (`steps.governance.credentials.Access`)."""

    def storage_options(self) -> dict[str, str]: ...


def stream(
    manifest: Prepared, table: Table, access: ReadAccess, *, execution_arn: str
) -> Iterator[pa.RecordBatch]:
    """Verify commit and file list now, then each file before its first row, then the counts after the last.

    Raises:
        IntegrityError: anything differs from the manifest, now or on the way: what came before counts for nothing.
        AccessDenied, NotFound, Unavailable: the storage's own answers.
    """
    check_manifest(manifest, table, execution_arn=execution_arn)
    _check_commit(manifest, access)
    _check_files(manifest, access)
    return _counted(manifest, access)


def check_manifest(manifest: Prepared, table: Table, *, execution_arn: str) -> None:
    """The manifest speaks of this execution and of the table that the catalog knows under this name.

    Raises:
        IntegrityError: it does not.
    """
    target = manifest.target
    partition = f"execution_id={execution_id(execution_arn)}"
    _same("Prepare's manifest is of another execution", execution_arn, manifest.execution_arn)
    _same(
        "Prepare's manifest is of another table", str(table.name), str(UcName.parse(target.table))
    )
    _same(
        f"table {table.name} was replaced after Prepare wrote to it",
        target.table_id,
        table.table_id,
    )
    _same(
        f"table {table.name} was moved after Prepare wrote to it",
        target.location.rstrip("/"),
        table.location,
    )
    _same("Prepare's manifest names another partition", partition, str(target.partition))
    strays = [entry.path for entry in manifest.files if not entry.path.startswith(f"{partition}/")]
    _same(
        "Prepare's manifest lists files outside its partition",
        "none",
        ", ".join(strays[:5]) or "none",
    )


def _check_commit(manifest: Prepared, access: ReadAccess) -> None:
    version = manifest.target.version
    entry = f"_delta_log/{version:020d}.json"
    with (
        translated(f"read commit {version} of {manifest.target.table}"),
        _open(manifest, entry, access) as file,
    ):
        actions = [json.loads(line) for line in file.read().splitlines() if line.strip()]
    information: Mapping[str, object] = next(
        (a["commitInfo"] for a in actions if "commitInfo" in a), {}
    )
    # delta-rs writes commit metadata beside the engine's own fields, Spark writes it as one string
    metadata = json.loads(str(information.get("userMetadata") or "{}"))
    _same(
        f"version {version} of {manifest.target.table} was committed by another execution",
        manifest.execution_arn,
        str(information.get("execution_arn") or metadata.get("execution_arn")),
    )


def _check_files(manifest: Prepared, access: ReadAccess) -> None:
    """The partition's live files at the manifest's version are the manifest's: none gone, none added, none resized."""
    target = manifest.target
    with translated(f"open version {target.version} of {target.table}"):
        newest = _table(manifest, None, access).version()
        if (
            newest < target.version
        ):  # compared before the table is opened there: the number comes from outside
            _same(
                f"table {target.table} has no such version",
                str(target.version),
                f"versions up to {newest}",
            )
        opened = _table(manifest, target.version, access)
        actions = (
            pa.table(opened.get_add_actions(flatten=True))
            .select(["path", "size_bytes"])
            .to_pylist()
        )
    live = {
        a["path"]: a["size_bytes"] for a in actions if a["path"].startswith(f"{target.partition}/")
    }
    listed = {entry.path: entry.size for entry in manifest.files}
    if live != listed:
        raise IntegrityError(
            f"the files of {target.table} at version {target.version} are not those Prepare wrote",
            expected=f"{len(listed)} files of {target.partition}, as the manifest lists them",
            got=f"{len(live)} files; missing {sorted(set(listed) - set(live))[:5]}, added "
            f"{sorted(set(live) - set(listed))[:5]}, resized "
            f"{sorted(path for path in live.keys() & listed.keys() if live[path] != listed[path])[:5]}",
            do="find out who changed the table, then start a new execution",
        )


def _table(manifest: Prepared, version: int | None, access: ReadAccess) -> DeltaTable:
    """The table at a version that is known to be there (None: the newest), even where its `_last_checkpoint` is wrong."""
    location, options = manifest.target.location, access.storage_options()
    return past_hint(
        lambda at: DeltaTable(location, version=at, storage_options=options),
        version,
        lambda: PyFileSystem(DeltaStorageHandler(location, options)),
        location=location,
    )


def _counted(manifest: Prepared, access: ReadAccess) -> Iterator[pa.RecordBatch]:
    """Every file's rows; at the end, as many of each split as Prepare counted."""
    splits = Counter[str]()
    for entry in manifest.files:
        for batch in _rows(manifest, entry, access):
            splits.update(
                {
                    found["values"]: found["counts"]
                    for found in pc.value_counts(batch["split"]).to_pylist()
                }
            )
            yield batch
    train, held_out, counts = splits["train"], splits["eval"], manifest.counts
    expected = f"{counts.examples_train} train and {counts.examples_eval} eval"
    _same(
        "the examples are not those Prepare counted", expected, f"{train} train and {held_out} eval"
    )
    _same("some examples belong to no split", str(splits.total()), str(train + held_out))


def _rows(manifest: Prepared, entry: FileEntry, access: ReadAccess) -> Iterator[pa.RecordBatch]:
    rows = 0
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        with (
            translated(f"read {entry.path} of {manifest.target.table}"),
            _open(manifest, entry.path, access) as file,
        ):
            _copy_verified(file, spool, entry)
        spool.seek(0)
        for batch in curated_rows.batches(spool, entry.path):
            rows += batch.num_rows
            yield batch
    _same(f"file {entry.path} has another number of rows", str(entry.rows), str(rows))


def _copy_verified(file: pa.NativeFile, spool: IO[bytes], entry: FileEntry) -> None:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        with full_disk.explained():  # ours, not the storage's
            spool.write(chunk)
    if (size, digest.hexdigest()) != (entry.size, entry.sha256):
        raise IntegrityError(
            f"file {entry.path} was altered after Prepare wrote it",
            expected=f"{entry.size} bytes, sha256 {entry.sha256}",
            got=f"{size} bytes, sha256 {digest.hexdigest()}",
            do="find out who changed it, then start a new execution",
        )


def _open(manifest: Prepared, path: str, access: ReadAccess) -> pa.NativeFile:
    """A file of the table, with credentials that are fresh now."""
    storage = DeltaStorageHandler(manifest.target.location, access.storage_options())
    return PyFileSystem(storage).open_input_stream(path)


def _same(what: str, expected: str, got: str) -> None:
    if expected != got:
        raise IntegrityError(
            what, expected=expected, got=got, do="find out what changed, then start a new execution"
        )
