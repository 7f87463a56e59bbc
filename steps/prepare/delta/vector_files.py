"""The files of a version's deletion vectors, from the Delta log: the rows depend on them too.

    of(place, 7)      # ["deletion_vector_….bin"], paths below the table's location
    live(place, 7)    # [("part-….parquet", "deletion_vector_….bin")], every data file

Neither engine names these files, so the log is read here: its newest complete checkpoint up to the
version, then the commits after it [delta-io/delta PROTOCOL.md, "Action Reconciliation", "Deletion
Vectors", "Checkpoints"].
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pyarrow as pa

from steps.governance.errors import GovernanceError
from steps.governance.unity_catalog.credentials import with_keys
from steps.prepare.delta import data_files
from steps.prepare.delta.readable import below
from steps.prepare.delta.store import Place
from steps.prepare.delta.tables import storage

FEATURE = "deletionVectors"
INLINE = "in the log"  # what `live` has in place of a file for such a vector
_LOG = "_delta_log"
_CHECKPOINT = re.compile(
    r"(?P<version>[0-9]{20})[.]checkpoint"
    r"(?:[.](?P<part>[0-9]{10})[.](?P<parts>[0-9]{10})|[.](?P<id>[0-9a-f-]{36}))?"
    r"[.](?:parquet|json)"
)
_COLUMNS = ("add.path", "add.deletionVector", "sidecar.path")
_IDENTITY = ("storageType", "pathOrInlineDv", "offset")  # of a vector, next to the file's path
_UUID_CHARACTERS = 20  # of Z85, whose alphabet differs from that of Python 3.11's base85
_TO_BASE85 = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
)
_Live = dict[tuple[str, ...], dict[str, Any]]


def of(place: Place, version: int) -> list[str]:
    """Return the paths of the files, sorted; a vector inside the log needs no file.

    Raises:
        GovernanceError: a vector is in a file outside the table's folder.
    """
    with storage(f"read the log of table {place.name}"):
        vectors = [vector for _, vector in _Log(place).live(version) if vector]
    paths = set()
    for vector in vectors:
        uri = _uri(vector)
        path = None if uri is None else below(place.location, uri)
        if uri is not None and path is None:
            raise GovernanceError(
                f"table {place.name} cannot be read: a deletion vector is stored elsewhere",
                expected=f"files below {place.location}",
                got=uri[:200],
                do="choose the table that it was cloned from as RawTable, or make a deep clone",
            )
        if path is not None:
            paths.add(path)
    return sorted(paths)


def live(place: Place, version: int) -> list[tuple[str, str]]:
    """Return each data file that is live at a version, with its vector's file.

    Without a vector that is empty; of a vector inside the log it is `INLINE`. A path outside the
    table's folder stays as the log has it.
    """

    def read() -> list[tuple[str, dict[str, Any]]]:
        with storage(f"read the log of table {place.name}"):
            return _Log(place).live(version)

    def inside(path: str) -> str:
        return below(place.location, path) or path

    return [
        (inside(path), inside(_uri(vector) or INLINE) if vector else "")
        for path, vector in with_keys(place.access, read)
    ]


def _uri(vector: dict[str, Any]) -> str | None:
    """Return the path or URI of a vector's file, or None if the vector is inside the log."""
    kind, text = vector["storageType"], str(vector["pathOrInlineDv"])
    if kind == "i":
        return None
    if kind == "p":
        return text
    prefix, encoded = text[:-_UUID_CHARACTERS], text[-_UUID_CHARACTERS:]
    name = f"deletion_vector_{UUID(bytes=_decoded(encoded))}.bin"
    return f"{prefix}/{name}" if prefix else name


def _decoded(text: str) -> bytes:
    return base64.b85decode(text.translate(_TO_BASE85))


class _Log:
    """The add and remove actions of one table's log."""

    def __init__(self, place: Place) -> None:
        self._files = data_files.file_system(place.location, place.access.storage_options())

    def live(self, version: int) -> list[tuple[str, dict[str, Any]]]:
        """Return the files that are live at a version, each with its vector; empty without one."""
        live: _Live = {}
        start, parts = self._checkpoint(version)
        for name in parts:
            for action in self._actions(f"{_LOG}/{name}"):
                self._apply(action, live)
        for number in range(start + 1, version + 1):
            for action in self._lines(f"{_LOG}/{number:020}.json"):
                self._apply(action, live)
        return [(key[0], each if each.get("storageType") else {}) for key, each in live.items()]

    def _apply(self, action: dict[str, Any], live: _Live) -> None:
        """Keep the live files. Path and vector together identify one, so order does not matter."""
        if sidecar := action.get("sidecar"):
            for each in self._actions(f"{_LOG}/_sidecars/{sidecar['path']}"):
                self._apply(each, live)
        for kind in ("remove", "add"):
            if file := action.get(kind):
                vector = file.get("deletionVector") or {}
                key = (file["path"], *(str(vector.get(name)) for name in _IDENTITY))
                live.pop(key, None)
                if kind == "add":
                    live[key] = vector

    def _checkpoint(self, version: int) -> tuple[int, list[str]]:
        """Return version and file names of the newest complete checkpoint; -1 without one."""
        from pyarrow.fs import FileSelector

        names = sorted(info.base_name for info in self._files.get_file_info(FileSelector(_LOG)))
        matches = [match for name in names if (match := _CHECKPOINT.fullmatch(name))]
        known = [match for match in matches if int(match["version"]) <= version]
        there = Counter((match["version"], match["parts"]) for match in known)
        complete = [
            match
            for match in known
            if not match["parts"] or there[match["version"], match["parts"]] == int(match["parts"])
        ]
        if not complete:
            return -1, []
        newest = max(complete, key=lambda match: match["version"])
        if not newest["parts"]:
            return int(newest["version"]), [newest.string]
        same = (newest["version"], newest["parts"])
        return int(newest["version"]), [
            match.string for match in complete if (match["version"], match["parts"]) == same
        ]

    def _actions(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the actions of a checkpoint's file."""
        import pyarrow.parquet as pq

        if path.endswith(".json"):
            yield from self._lines(path)
            return
        with self._files.open_input_file(path) as source:
            for rows in pq.ParquetFile(source).iter_batches(columns=list(_COLUMNS)):
                yield from pa.RecordBatch.to_pylist(rows)

    def _lines(self, path: str) -> Iterator[dict[str, Any]]:
        with self._files.open_input_file(path) as source:
            content = source.read()
        yield from (json.loads(line) for line in content.splitlines() if line.strip())
