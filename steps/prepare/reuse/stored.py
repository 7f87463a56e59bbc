"""The tables of an earlier execution as they are stored now, compared with its manifest.

    require(found, raw, curated)     # manifest, and both tables as places that can be read

The catalog's tables must be the same ones, the curated commit that execution's, its rows still part
of the newest version, and every file there with its size. Bytes are not read: Train compares the
sha256 of each file, as always. A filing that was deleted from either table must not be learnt from
again. So the raw version's files must exist too, and be live in the newest raw version with the
deletion vectors that they had, although nobody reads them here.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.errors import IntegrityError, NotFound
from steps.governance.unity_catalog.credentials import with_keys
from steps.prepare.delta import data_files, tables, vector_files
from steps.prepare.delta.store import Place, user_metadata
from steps.prepare.reuse.earlier import ANEW

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = logging.getLogger(__name__)

_SHOWN = 5  # files that a message names


def require(found: Prepared, raw: Place, curated: Place) -> None:
    """Check both tables.

    Raises:
        IntegrityError: a table was replaced or moved, its commit is another, or rows of either
            table were deleted or rewritten.
        NotFound: files were deleted.
        AccessDenied, Unavailable: the storage refused or did not answer.
    """
    _require_same_table(raw, found.source)
    _require_same_table(curated, found.target)
    _require_commit(curated, found)
    _require_live(curated, found)
    _require_files(raw, found.source, found.raw_files or [])
    _require_files(curated, found.target, found.files)
    _require_raw_rows(raw, found.source, found.raw_files or [])


def _require_same_table(place: Place, recorded: TableVersion) -> None:
    table = place.standing
    then = (recorded.table_id, recorded.location.rstrip("/"))
    if (table.table_id, table.location) != then:
        raise IntegrityError(
            f"table {place.name} is not the one of that execution",
            expected=" at ".join(then),
            got=f"{table.table_id} at {table.location}",
            do=ANEW,
        )


def _require_commit(curated: Place, found: Prepared) -> None:
    """Check that the log entry of the manifest's version is what that Prepare committed."""
    version = found.target.version
    actions = _log_entry(curated, version)
    infos = (each["commitInfo"] for each in actions if "commitInfo" in each)
    made = user_metadata(next(infos, {}))
    added = sorted(
        (each["add"].get("path"), each["add"].get("size")) for each in actions if "add" in each
    )
    for what, expected, got in (
        ("execution", found.execution_arn, made.get("execution_arn")),
        ("raw table", found.source.table, made.get("raw_table")),
        ("raw version", str(found.source.version), str(made.get("raw_version"))),
        ("template", found.template, made.get("template")),
        ("files", sorted((each.path, each.size) for each in found.files), added),
    ):
        if expected != got:
            raise IntegrityError(
                f"version {version} of {curated.name} is not what that execution's manifest "
                f"describes: {what}",
                expected=str(expected)[:300],
                got=str(got)[:300],
                do=f"find out who changed the table or the manifest; {ANEW}",
            )


def _log_entry(place: Place, version: int) -> list[dict[str, Any]]:
    name = f"_delta_log/{version:020d}.json"

    def read() -> bytes:
        with (
            tables.storage(f"read commit {version} of table {place.name}"),
            _files(place).open_input_file(name) as entry,
        ):
            return bytes(entry.read())

    there = with_keys(place.access, lambda: _info(place, [name]))[0]
    if there is None:
        raise _gone(place, version, [name])
    return [json.loads(line) for line in with_keys(place.access, read).splitlines() if line.strip()]


def _require_live(curated: Place, found: Prepared) -> None:
    """Check that the newest version still has these rows: nobody deleted or rewrote them."""
    table = tables.opened(curated, None)
    with tables.storage(f"read the log of table {curated.name}"):
        actions = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes"])
    partition = f"{found.target.partition}/"
    live = {
        each["path"]: each["size_bytes"]
        for each in actions.to_pylist()
        if each["path"].startswith(partition)
    }
    wanted = {each.path: each.size for each in found.files}
    hidden = _with_vectors(curated, table, partition)
    if live != wanted or hidden:
        gone = wanted.items() - live.items() | {(each, wanted.get(each)) for each in hidden}
        raise IntegrityError(
            f"rows of that execution were deleted from {curated.name} or rewritten since",
            expected=f"{len(wanted)} files of {found.target.partition} in the newest version, "
            f"{table.version()}",
            got=f"{len(live)} files; {len(gone)} are not as its manifest lists them",
            do=ANEW,
        )


def _with_vectors(curated: Place, table: "DeltaTable", partition: str) -> list[str]:
    """Return the files of a partition that have deleted rows: a vector keeps path and size."""
    if vector_files.FEATURE not in (table.protocol().reader_features or ()):
        return []
    live = vector_files.live(curated, table.version())
    return [path for path, vector in live if vector and path.startswith(partition)]


def _require_files(place: Place, recorded: TableVersion, files: Sequence[FileEntry]) -> None:
    paths = [unquote(each.path) for each in files]
    sizes = with_keys(place.access, lambda: _info(place, paths))
    wrong = [
        path for path, size, each in zip(paths, sizes, files, strict=True) if size != each.size
    ]
    if wrong:
        raise _gone(place, recorded.version, wrong)


def _gone(place: Place, version: int, paths: Sequence[str]) -> NotFound:
    return NotFound(
        f"version {version} of {place.name} is not whole any more",
        expected="every file that the execution's manifest lists, with its size",
        got=f"{len(paths)} missing or changed: {', '.join(paths[:_SHOWN])}",
        do=f"VACUUM and log retention remove them; {ANEW}",
    )


def _info(place: Place, paths: Sequence[str]) -> list[int | None]:
    """Return the size of each file, or None where it is not there."""
    with tables.storage(f"look at the files of table {place.name}"):
        found = _files(place).get_file_info(list(paths))
    return [info.size if info.is_file else None for info in found]


def _require_raw_rows(raw: Place, recorded: TableVersion, files: Sequence[FileEntry]) -> None:
    """Check that the newest raw version has every row that was read; more rows are a warning.

    The manifest lists the files of deletion vectors too. So a listed data file must be live with
    the vector that it had, or without one.
    """
    newest = max(with_keys(raw.access, lambda: list(_versions(raw))), default=None)
    if newest is None:
        raise _gone(raw, recorded.version, ["_delta_log"])
    listed = {unquote(each.path) for each in files}
    live = [(unquote(path), unquote(vector)) for path, vector in vector_files.live(raw, newest)]
    there = {name for pair in live for name in pair}
    others = {path for path, vector in live if vector and vector not in listed}
    if wrong := sorted((listed - there) | (listed & others)):
        raise IntegrityError(
            f"rows that were read were deleted from {raw.name} or rewritten since",
            expected=f"{len(listed)} files of version {recorded.version} in the newest, {newest}, "
            "with the same deletion vectors",
            got=f"{len(wrong)} are not: {', '.join(wrong[:_SHOWN])}",
            do=ANEW,
        )
    if newest > recorded.version:
        log.warning(
            "table %s has version %d by now; these examples are of version %d",
            *(raw.name, newest, recorded.version),
        )


def _versions(place: Place) -> Iterator[int]:
    with tables.storage(f"read the log of table {place.name}"):
        there = _files(place).get_file_info(FileSelector("_delta_log", allow_not_found=True))
    for info in there:
        name, _, ending = info.base_name.partition(".")
        if ending == "json" and name.isdecimal():
            yield int(name)


def _files(place: Place) -> FileSystem:
    return data_files.file_system(place.location, place.access.storage_options())
