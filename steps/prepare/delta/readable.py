"""Check by log and storage, before Spark reads a row, that a version can be read correctly.

    require_files(place, wanted, newest)      # no file outside the table, none deleted by VACUUM
    require_every_file(place, wanted)         # after a read that failed
    by_scan(place, table)                     # whether the rows need delta-rs's own scan

VACUUM deletes only files that the newest version no longer has. So only those are looked for, and a
read of the newest version costs no request.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

from deltalake import DeltaTable

from steps.governance.errors import GovernanceError, NotFound
from steps.prepare.delta import data_files
from steps.prepare.delta.features import BY_SCAN, FROM_FILES, NOT_BY_SCAN
from steps.prepare.delta.store import Place

_URI = re.compile(r"[a-z][a-z0-9+.-]*:/+|/+", re.IGNORECASE)
_AT_ONCE = 500  # files in one look-up
_THREADS = 8


@dataclass(frozen=True)
class Version:
    """A version's number and its data files, as paths below the table's location or as URIs."""

    number: int
    paths: frozenset[str]


def below(location: str, path: str) -> str | None:
    """Return the path relative to the table's location, or None if it is a URI elsewhere.

    The schemes s3 and s3a are equal.
    """
    if not _URI.match(path):
        return path
    root, whole = (_URI.sub("", text, count=1) for text in (location.rstrip("/") + "/", path))
    return whole.removeprefix(root) if whole.startswith(root) else None


def below_table(place: Place, paths: Iterable[str]) -> list[str]:
    """Return the paths below the table's location, without those elsewhere; sorted."""
    return sorted(filter(None, (below(place.location, path) for path in paths)))


def require_own_files(place: Place, paths: Sequence[str] | frozenset[str]) -> None:
    """Require that all files of a version are in the table's folder.

    Raises:
        GovernanceError: the log names files of another table: a shallow clone.
    """
    strays = sorted(path for path in paths if below(place.location, path) is None)
    if strays:
        raise GovernanceError(
            f"table {place.name} is a shallow clone, which cannot be read: its log names "
            "files of another table",
            expected=f"files below {place.location}",
            got=f"{len(strays)} of {len(paths)} files elsewhere, the first {strays[0][:200]}",
            do="choose the table that it was cloned from as RawTable, or make a deep clone",
        )


def require_files(
    place: Place, wanted: Version, newest: Version, at: Callable[[int], Version]
) -> None:
    """Require that the files of a version still exist.

    Args:
        place: the table.
        wanted: the version to read.
        newest: the newest version; its files are assumed to exist.
        at: returns another version, to find the oldest one whose files exist.

    Raises:
        NotFound: VACUUM deleted files; the message names the versions that can be read.
    """
    gone = _gone(place, wanted.paths - newest.paths)
    if not gone:
        return
    oldest = _oldest(place, wanted.number, newest, at)
    only = (
        f"only version {oldest} can be read"
        if oldest == newest.number
        else f"versions {oldest} to {newest.number} can be read"
    )
    raise _deleted(
        place, wanted, gone, do=f"{only}: choose one as RawTableVersion; -1 reads the newest"
    )


def require_every_file(place: Place, wanted: Version) -> None:
    """Require that every file of a version still exists.

    This looks for each file, so it is used only after a read failed.

    Raises:
        NotFound: files were deleted, for instance by VACUUM before the table was restored to this
            version.
    """
    if gone := _gone(place, wanted.paths):
        raise _deleted(
            place,
            wanted,
            gone,
            do="choose another RawTableVersion, or ask the table's owner to write the rows again",
        )


def by_scan(place: Place, table: DeltaTable) -> bool:
    """Return whether the rows need delta-rs's scan.

    Deletion vectors, column mapping and paths that are URIs need it.

    Raises:
        GovernanceError: the table needs a reader feature that neither way of reading honours.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    scanned = protocol.min_reader_version == 2 or bool(features & BY_SCAN)
    unread = features - FROM_FILES - BY_SCAN | (features & NOT_BY_SCAN if scanned else set())
    if unread:
        honoured = FROM_FILES - NOT_BY_SCAN | BY_SCAN if scanned else FROM_FILES | BY_SCAN
        raise GovernanceError(
            f"table {place.name} uses Delta features that the delta engine delta-rs does not read",
            expected=f"no others than {', '.join(sorted(honoured))}",
            got=", ".join(sorted(unread)),
            do="rewrite the table without them, or read it with the delta engine "
            "unity-connector, whose jars you add to the image (docs/data.md)",
        )
    return scanned


def _deleted(place: Place, wanted: Version, gone: Sequence[str], *, do: str) -> NotFound:
    return NotFound(
        f"version {wanted.number} of table {place.name} can no longer be read: its files were "
        "deleted (VACUUM)",
        expected=f"{len(wanted.paths)} files",
        got=f"{len(gone)} of them deleted, the first {gone[0][:200]}",
        do=do,
    )


def _gone(place: Place, wanted: frozenset[str]) -> list[str]:
    """Return the files that the storage no longer has."""
    from pyarrow.fs import FileType

    paths = below_table(place, wanted)
    if not paths:
        return []
    files = data_files.file_system(place.location, place.access.storage_options())

    def missing(chunk: list[str]) -> list[str]:
        found = files.get_file_info([unquote(path) for path in chunk])
        return [
            path for path, info in zip(chunk, found, strict=True) if info.type is FileType.NotFound
        ]

    chunks = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [path for chunk in pool.map(missing, chunks) for path in chunk]


def _oldest(place: Place, unreadable: int, newest: Version, at: Callable[[int], Version]) -> int:
    """Return the oldest version from which on all are readable.

    VACUUM deletes files by the time of their removal, so the readable versions are the last ones.
    """
    low, high = unreadable, newest.number
    while high - low > 1:
        middle = (low + high) // 2
        if _gone(place, at(middle).paths - newest.paths):
            low = middle
        else:
            high = middle
    return high
