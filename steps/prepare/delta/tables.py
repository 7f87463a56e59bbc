"""Open Delta tables by delta-rs: the newest version first, then the requested one.

    table = opened(place, 3)     # refuses a version above the newest before it opens that version
    table = existing(place)      # the newest version, or None if the table does not exist

delta-rs takes time in proportion to the number when it opens a version far beyond the newest (one
listing for each thousand versions on S3). Therefore the newest version is resolved before anything
else, and the requested number is compared with it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from steps.governance.checkpoint_hint import past_hint
from steps.governance.delta_storage import is_denied, one_line, storage_error
from steps.governance.errors import GovernanceError, NotFound
from steps.governance.unity_catalog.credentials import with_keys
from steps.prepare.delta import data_files
from steps.prepare.delta.features import BY_SCAN, FROM_FILES, NEWEST_READER
from steps.prepare.delta.store import Place

_CATALOG_MANAGED = "catalog-managed table"  # the Delta kernel's wording
_UNREAD = re.compile(  # the Delta kernel's wording
    "Unsupported: (?:Feature '(?P<feature>[^']*)' is not supported"
    r"|Unsupported minimum reader version (?P<version>\d+))"
)
_CHECKPOINT = re.compile(r"([0-9]{20})[.]checkpoint[.].*")


def open_table(location: str, options: Mapping[str, str], version: int | None) -> DeltaTable:
    """Open the table at an existing version (None: the newest), also past a wrong hint."""
    return past_hint(
        lambda at: DeltaTable(location, version=at, storage_options=dict(options)),
        version,
        lambda: data_files.file_system(location, options),
        location=location,
    )


def opened(place: Place, version: int | None) -> DeltaTable:
    """Return the table at a version; None is the newest.

    Raises:
        NotFound: the table does not exist, the version is above the newest, or its log entries were
            deleted.
    """
    newest = existing(place)
    if newest is None:
        raise NotFound(
            f"table {place.name} cannot be read",
            expected=f"a Delta table at {place.location}",
            got="none there",
            do="check RawTable",
        )
    if version is None or version == newest.version():
        return newest
    if version > newest.version():
        raise above_newest(place, version, newest.version())
    found = with_keys(place.access, lambda: _found(place, version))
    if found is not None:
        return found
    with storage(f"read the log of table {place.name}"):
        oldest = _oldest(place)
    raise log_deleted(place, version, oldest=oldest, newest=newest.version())


def existing(place: Place) -> DeltaTable | None:
    """Return the table at its newest version, or None if it does not exist."""
    return with_keys(place.access, lambda: _found(place, None))


def _found(place: Place, version: int | None) -> DeltaTable | None:
    with storage(f"read the log of table {place.name}"):
        try:
            return open_table(place.location, place.access.storage_options(), version)
        except TableNotFoundError:
            return None


def paths(table: DeltaTable) -> list[str]:
    """Return the data files of a version, with the paths of its log."""
    return [str(path) for path in pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()]


def above_newest(place: Place, version: int, newest: int) -> NotFound:
    """Return the error for a version that does not exist yet."""
    return NotFound(
        f"table {place.name} cannot be read",
        expected=f"Delta version {version}",
        got=f"versions up to {newest}",
        do="check RawTableVersion; -1 reads the newest",
    )


def log_deleted(place: Place, version: int, *, oldest: int, newest: int) -> NotFound:
    """Return the error for a version whose log entries were deleted."""
    return NotFound(
        f"version {version} of table {place.name} can no longer be read: its log entries were "
        "deleted (log retention)",
        expected="the commits up to this version, or a checkpoint before it",
        got=f"a log that begins at version {oldest}",
        do=f"choose a RawTableVersion from {oldest} to {newest}; -1 reads the newest",
    )


@contextmanager
def storage(doing: str) -> Iterator[None]:
    """Run a block that reads or writes a Delta table, and raise its storage errors as ours.

    `CommitFailedError` passes: another writer committed first.
    """
    try:
        yield
    except CommitFailedError:
        raise
    except (DeltaError, OSError, pa.ArrowException) as error:
        if _CATALOG_MANAGED in str(error):
            raise GovernanceError(
                "the table is a catalog-managed table, which the delta engine delta-rs "
                f"cannot open: {doing}",
                expected="a table whose commits are all in its own log",
                got="the table feature catalogManaged",
                do="choose another table, or the delta engine unity-connector, whose jars "
                "you add to the image (docs/data.md)",
            ) from error
        if unread := _UNREAD.search(str(error)):
            raise GovernanceError(
                "the table uses Delta features that the delta engine delta-rs does not read: "
                f"{doing}",
                expected=f"reader versions up to {NEWEST_READER}, and no other features than "
                f"{', '.join(sorted(FROM_FILES | BY_SCAN))}",
                got=unread["feature"] or f"reader version {unread['version']}",
                do="rewrite the table without them, or use the delta engine unity-connector if its "
                "Spark knows them; add its jars to the image (docs/data.md)",
            ) from error
        raise storage_error(doing, error) from error


def not_committed(place: Place, error: Exception) -> GovernanceError:
    """Return the error for a commit that delta-rs refused, not because of another writer."""
    if is_denied(error):
        return storage_error(f"commit to table {place.name}", error)
    return GovernanceError(
        f"delta-rs refused the commit to table {place.name}, nothing was committed",
        expected="a table that delta-rs can append to",
        got=one_line(error),
        do="choose another CuratedTable",
    )


def _oldest(place: Place) -> int:
    """Return the oldest version that the log can rebuild: 0, or the oldest checkpoint."""
    from pyarrow.fs import FileSelector

    files = data_files.file_system(place.location, place.access.storage_options())
    names = [info.base_name for info in files.get_file_info(FileSelector("_delta_log"))]
    if f"{0:020}.json" in names:
        return 0
    return min(
        (int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name))), default=-1
    )
