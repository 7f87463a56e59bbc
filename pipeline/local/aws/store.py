"""The store of pipelines, executions and jobs: JSON documents in one SQLite file.

    store = Store(path)
    store.add("pipeline", "governed-finetune", {...})
    with store.edit("pipeline", "governed-finetune") as pipeline:
        pipeline["RoleArn"] = role
    store.wait(lambda: store.get("execution", arn)["_done"], timeout_seconds=30)

Each write is one transaction, so a kill leaves the old or the new document. Keys that begin with an
underscore are our own; the others are fields of AWS's Describe answer.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """CREATE TABLE IF NOT EXISTS document (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, key))"""


class Store:
    """Documents by kind and key, in order of creation, with a wait for changes."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(_SCHEMA)
        self._changed = threading.Condition(threading.RLock())

    def add(self, kind: str, key: str, document: Document) -> None:
        """Store a new document; an old one with the same key is replaced and moves to the end."""
        with self._changed:
            self._connection.execute("DELETE FROM document WHERE kind = ? AND key = ?", (kind, key))
            self._connection.execute(
                "INSERT INTO document (kind, key, body) VALUES (?, ?, ?)",
                (kind, key, json.dumps(document)),
            )
            self._changed.notify_all()

    def get(self, kind: str, key: str) -> Document | None:
        """Return a copy of the document, or None."""
        with self._changed:
            row = self._connection.execute(
                "SELECT body FROM document WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def all(self, kind: str) -> list[Document]:
        """Every document of one kind, oldest first."""
        with self._changed:
            rows = self._connection.execute(
                "SELECT body FROM document WHERE kind = ? ORDER BY number", (kind,)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    @contextlib.contextmanager
    def edit(self, kind: str, key: str) -> Iterator[Document]:
        """Read, change and write back one document; other threads cannot write meanwhile.

        Raises:
            KeyError: the document does not exist.
        """
        with self._changed:
            document = self.get(kind, key)
            if document is None:
                raise KeyError(f"{kind} {key}")
            yield document
            self._connection.execute(
                "UPDATE document SET body = ? WHERE kind = ? AND key = ?",
                (json.dumps(document), kind, key),
            )
            self._changed.notify_all()

    def remove(self, kind: str, key: str) -> None:
        """Delete one document."""
        with self._changed:
            self._connection.execute("DELETE FROM document WHERE kind = ? AND key = ?", (kind, key))
            self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock over a check and the write that depends on it (is the name free?)."""
        with self._changed:
            yield

    def wait(self, predicate: Callable[[], bool], *, timeout_seconds: float | None = None) -> bool:
        """Sleep until a write makes the predicate true; return False on a time-out."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_seconds)

    def wake(self) -> None:
        """Evaluate every waiting predicate again, because something outside the store changed."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file; later calls fail."""
        with self._changed:
            self._connection.close()


def now() -> float:
    """Seconds since the epoch, to the millisecond as AWS's timestamps have it."""
    return round(time.time(), 3)
