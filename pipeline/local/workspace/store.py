"""The store of the workspace: every object in one SQLite file, which outlives `down`.

A document is found by (kind, key). All writes inside `with store.transaction():` take effect, or
none:

    with store.transaction():
        if store.get("TABLE", name) is None:
            store.put("TABLE", name, document)
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (kind, key))
"""
_PUT = """
INSERT INTO documents (kind, key, document) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document
"""
_AFTER_EVERY_CHARACTER = "\U0010ffff"


class Store:
    """Documents by (kind, key), listed in the order of their creation."""

    def __init__(self, path: Path):
        # One connection for all threads, one thread at a time: the lock makes a handler's reads and
        # writes one unit.
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file; the store cannot be used after that."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of the block atomic; nested blocks join the outer one."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    def get(self, kind: str, key: str) -> Document | None:
        """Return one document; None if it does not exist."""
        rows = self._execute("SELECT document FROM documents WHERE kind = ? AND key = ?", kind, key)
        document: Document | None = json.loads(rows[0][0]) if rows else None
        return document

    def put(self, kind: str, key: str, document: Document) -> None:
        """Store a document; one that has the same kind and key is replaced."""
        self._execute(_PUT, kind, key, json.dumps(document))

    def delete(self, kind: str, key: str) -> None:
        """Delete a document; nothing happens if it does not exist."""
        self._execute("DELETE FROM documents WHERE kind = ? AND key = ?", kind, key)

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """(key, document) of a kind whose key starts with the prefix."""
        rows = self._execute(
            (
                "SELECT key, document FROM documents WHERE kind = ? AND key >= ? AND key < ? "
                "ORDER BY id"
            ),
            kind,
            prefix,
            prefix + _AFTER_EVERY_CHARACTER,
        )
        return [(key, json.loads(document)) for key, document in rows]

    def all(self, kind: str, prefix: str = "") -> list[Document]:
        """Return the documents of a kind whose key starts with the prefix."""
        return [document for _, document in self.items(kind, prefix)]

    def _execute(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()
