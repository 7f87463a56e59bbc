"""The files of an index in its cache folder: written whole, checked before use.

    folder = IndexFolder(Path("…/trace/4f1c…"), evidence="s3://…")
    opened = folder.open()          # Index | None, with a note if an index there was not usable
    folder.save(index)

`index.json` names each Parquet file with its sha256, the schemas it was read with, and the evidence
it was made from. It is replaced last, so a reader sees the old index or the new one. An index is
never evidence: what does not match is left out and rebuilt.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps.governance.errors import UsageError
from steps.governance.files import sha256_of
from steps.trace.facts import SCHEMAS
from steps.trace.index.rows import Row, read_rows, write_rows

SCHEMA = "governed-finetune/trace-index/1"
_NAME = "index.json"


@dataclass(frozen=True)
class Part:
    """One file of filings, and the sha256 of each membership file in it."""

    file: str
    sha256: str
    memberships: frozenset[str]


@dataclass(frozen=True)
class Index:
    """The rows of all documents, and the files of their filings."""

    rows: tuple[Row, ...] = ()
    parts: tuple[Part, ...] = ()
    indexed_at: str = ""


@dataclass
class IndexFolder:
    """The cache folder of one evidence bucket's index.

    `notes` has one line for each index that was found and not used.
    """

    folder: Path
    evidence: str
    notes: list[str] = field(default_factory=list)

    def open(self) -> Index | None:
        """Return the stored index, or None if it is missing or cannot be used."""
        try:
            described = json.loads((self.folder / _NAME).read_bytes())
            return self._opened(described)
        except FileNotFoundError as error:
            if error.filename and not str(error.filename).endswith(_NAME):
                self.notes.append("the index was incomplete; it was rebuilt from evidence")
            return None
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            reason = str(error)[:100] or type(error).__name__
            self.notes.append(f"the index was not usable ({reason}); it was rebuilt from evidence")
            return None

    def paths(self, index: Index) -> list[Path]:
        """Return the files of the filings.

        Raises:
            ValueError: a file differs from the digest that the index has of it.
        """
        for part in index.parts:
            _check(self.folder / part.file, part.sha256)
        return [self.folder / part.file for part in index.parts]

    def stored(self, path: Path) -> tuple[str, str]:
        """Give a written file its final name, which has its digest; return name and sha256."""
        sha256 = sha256_of(path)
        name = f"{path.name.split('.')[0]}-{sha256[:16]}.parquet"
        path.replace(self.folder / name)
        return name, sha256

    def temporary(self, kind: str) -> Path:
        """Return a new path in the folder for a file that is being written.

        Raises:
            UsageError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(prefix=f"{kind}.", dir=self.folder)
        except OSError as error:
            raise UsageError(
                f"the index cannot be written to {self.folder}",
                got=str(error.strerror),
                do="name another folder with --index, or with $XDG_CACHE_HOME",
            ) from None
        os.close(handle)
        return Path(name)

    def save(self, rows: Sequence[Row], parts: Sequence[Part], indexed_at: str) -> Index:
        """Write the index and remove the files that it no longer names."""
        rows = sorted(rows, key=lambda row: row.key)
        path = self.temporary("documents")
        write_rows(path, rows)
        documents, sha256 = self.stored(path)
        described = {
            "schema": SCHEMA,
            "read_with": SCHEMAS,
            "evidence": self.evidence,
            "indexed_at": indexed_at,
            "documents": {"file": documents, "sha256": sha256},
            "filings": [
                {"file": part.file, "sha256": part.sha256, "memberships": sorted(part.memberships)}
                for part in parts
            ],
        }
        written = self.temporary("index")
        written.write_text(json.dumps(described))
        written.replace(self.folder / _NAME)
        self._remove_others({documents, _NAME, *(part.file for part in parts)})
        return Index(tuple(rows), tuple(parts), indexed_at)

    def _opened(self, described: Any) -> Index:
        expected = {"schema": SCHEMA, "read_with": SCHEMAS, "evidence": self.evidence}
        for name, value in expected.items():
            if described[name] != value:
                raise ValueError(f"its {name} is {str(described[name])[:60]!r}")
        documents = self.folder / _file(described["documents"]["file"])
        _check(documents, described["documents"]["sha256"])
        parts = tuple(
            Part(_file(part["file"]), str(part["sha256"]), frozenset(part["memberships"]))
            for part in described["filings"]
        )
        return Index(tuple(read_rows(documents)), parts, str(described["indexed_at"]))

    def _remove_others(self, kept: set[str]) -> None:
        for path in self.folder.glob("*.parquet"):
            if path.name not in kept and path.name.startswith(("documents-", "filings-")):
                path.unlink(missing_ok=True)


def _file(name: str) -> str:
    if Path(name).name != name:
        raise ValueError("it names a file in another folder")
    return name


def _check(path: Path, sha256: str) -> None:
    if sha256_of(path) != sha256:
        raise ValueError(f"{path.name} has another digest")
