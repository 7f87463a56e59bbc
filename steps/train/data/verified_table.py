"""Read the examples of this execution and verify that Prepare wrote them.

    for batch in stream(manifest, table, access, execution_arn=…):
        ...                       # pa.RecordBatch with the fields of `curated_rows.Example`
    # the whole table is verified only here, after the last batch

A Delta version number proves nothing about the data, so four things are checked:

1. The manifest is of our execution.
2. The commit at the manifest's version is of our execution, or of the one whose examples our
   Prepare verified and used again (`Prepared.reused`).
3. The live files of our partition are exactly the files of the manifest.
4. The bytes of every file have the sha256 of the manifest.

The bytes that are hashed are the bytes that are parsed: each data file is streamed once into an
unnamed temporary file and read from there. Files are processed one after the other, so memory does
not grow with the table.

The commit is read from its own log entry. For a table opened at an older version,
`DeltaTable.history()` of delta-rs 1.6 returns the newest commits under the numbers of older
versions.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from steps.governance import full_disk
from steps.governance.checkpoint_hint import past_hint
from steps.governance.delta_storage import briefly
from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Prepared
from steps.governance.errors import IntegrityError
from steps.governance.names import UcName, execution_id
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.credentials import Droppable, with_keys
from steps.train.data import curated_rows
from steps.train.data.table_errors import translated
from steps.train.paths import LARGER_VOLUME

_CHUNK_BYTES = 1024 * 1024
# A larger data file is spooled to the job's encrypted volume, a smaller one to memory
_SPOOL_BYTES = 4 * 1024 * 1024


class ReadAccess(Droppable, Protocol):
    """Self-renewing credentials to read one table's files (`unity_catalog.credentials.Access`)."""

    def storage_options(self) -> dict[str, str]:
        """Return keys that are valid now, as delta-rs options."""


def stream(
    manifest: Prepared, table: Table, access: ReadAccess, *, execution_arn: str
) -> Iterator[pa.RecordBatch]:
    """Verify commit and file list, then yield the rows of each file, verified, in batches.

    A file is verified before its first row is yielded. The numbers of rows are compared after the
    last row.

    Raises:
        IntegrityError: something differs from the manifest, now or during iteration. Rows that were
            yielded before must then not be used.
        AccessDenied, NotFound, Unavailable: the storage refused the read or failed.
    """
    check_manifest(manifest, table, execution_arn=execution_arn)
    with_keys(access, lambda: _check_commit(manifest, access))
    with_keys(access, lambda: _check_files(manifest, access))
    return _counted(manifest, access)


def check_manifest(manifest: Prepared, table: Table, *, execution_arn: str) -> None:
    """Check that the manifest is of this execution and of this table, as the catalog knows it.

    Raises:
        IntegrityError: it is not.
    """
    target = manifest.target
    partition = f"execution_id={execution_id(manifest.written_by)}"
    _require_equal(
        "Prepare's manifest is of another execution", execution_arn, manifest.execution_arn
    )
    _require_equal(
        "Prepare's manifest is of another table", str(table.name), str(UcName.parse(target.table))
    )
    _require_equal(
        f"table {table.name} was replaced after Prepare wrote to it",
        target.table_id,
        table.table_id,
    )
    _require_equal(
        f"table {table.name} was moved after Prepare wrote to it",
        target.location.rstrip("/"),
        table.location,
    )
    _require_equal("Prepare's manifest names another partition", partition, str(target.partition))
    strays = [entry.path for entry in manifest.files if not entry.path.startswith(f"{partition}/")]
    _require_equal(
        "Prepare's manifest lists files outside its partition",
        "none",
        ", ".join(strays[:5]) or "none",
    )


def _check_commit(manifest: Prepared, access: ReadAccess) -> None:
    """Check that the log entry of the manifest's version names our execution."""
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
    # delta-rs writes commit metadata next to the engine's own fields, Spark writes it as one string
    metadata = json.loads(str(information.get("userMetadata") or "{}"))
    _require_equal(
        f"version {version} of {manifest.target.table} was committed by another execution",
        manifest.written_by,
        str(information.get("execution_arn") or metadata.get("execution_arn")),
    )


def _check_files(manifest: Prepared, access: ReadAccess) -> None:
    """Check that the partition's live files at the manifest's version are those of the manifest.

    No file may be missing, added or of another size.
    """
    target = manifest.target
    with translated(f"open version {target.version} of {target.table}"):
        newest = _table(manifest, None, access).version()
        if newest < target.version:  # checked before opening: the number comes from outside
            _require_equal(
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
    resized = sorted(path for path in live.keys() & listed.keys() if live[path] != listed[path])
    if live != listed:
        raise IntegrityError(
            f"the files of {target.table} at version {target.version} are not those Prepare wrote",
            expected=f"{len(listed)} files of {target.partition}, as the manifest lists them",
            got=f"{len(live)} files; missing {sorted(set(listed) - set(live))[:5]}, added "
            f"{sorted(set(live) - set(listed))[:5]}, resized {resized[:5]}",
            do="find out who changed the table, then start a new execution",
        )


def _table(manifest: Prepared, version: int | None, access: ReadAccess) -> DeltaTable:
    """Open the table at an existing version (None: the newest).

    This works even if the table's `_last_checkpoint` is wrong.
    """
    location, options = manifest.target.location, briefly(access.storage_options())
    return past_hint(
        lambda at: DeltaTable(location, version=at, storage_options=options),
        version,
        lambda: PyFileSystem(DeltaStorageHandler(location, options)),
        location=location,
    )


def _counted(manifest: Prepared, access: ReadAccess) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all files; then compare the rows of each split with Prepare's counts."""
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
    _require_equal(
        "the examples are not those Prepare counted", expected, f"{train} train and {held_out} eval"
    )
    _require_equal("some examples belong to no split", str(splits.total()), str(train + held_out))


def _rows(manifest: Prepared, entry: FileEntry, access: ReadAccess) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file after its bytes are verified."""
    rows = 0
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        with_keys(access, partial(_spool, manifest, entry, access, spool))
        spool.seek(0)
        for batch in curated_rows.batches(spool, entry.path):
            rows += batch.num_rows
            yield batch
    _require_equal(f"file {entry.path} has another number of rows", str(entry.rows), str(rows))


def _spool(manifest: Prepared, entry: FileEntry, access: ReadAccess, spool: IO[bytes]) -> None:
    spool.seek(0)  # a second read with other keys begins again
    spool.truncate()
    digest, size = hashlib.sha256(), 0
    with (
        translated(f"read {entry.path} of {manifest.target.table}"),
        _open(manifest, entry.path, access) as file,
    ):
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            with full_disk.explained(do=LARGER_VOLUME):  # of our disk, not of the storage
                spool.write(chunk)
    if (size, digest.hexdigest()) != (entry.size, entry.sha256):
        raise IntegrityError(
            f"file {entry.path} was altered after Prepare wrote it",
            expected=f"{entry.size} bytes, sha256 {entry.sha256}",
            got=f"{size} bytes, sha256 {digest.hexdigest()}",
            do="find out who changed it, then start a new execution",
        )


def _open(manifest: Prepared, path: str, access: ReadAccess) -> pa.NativeFile:
    """Open a file of the table with current credentials."""
    storage = DeltaStorageHandler(manifest.target.location, briefly(access.storage_options()))
    return PyFileSystem(storage).open_input_stream(path)


def _require_equal(what: str, expected: str, got: str) -> None:
    if expected != got:
        raise IntegrityError(
            what, expected=expected, got=got, do="find out what changed, then start a new execution"
        )
