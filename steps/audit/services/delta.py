"""A Delta table's version as it is stored now: its data files, and the commit that made it.

Both are read with READ credentials that Unity Catalog vends for this one table. delta-rs replays
the log; the commit's own JSON is read from the store.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from steps.audit.services.catalog import Registry
from steps.audit.services.store import Store
from steps.governance.delta_storage import one_line, storage_error
from steps.governance.documents.manifest import TableVersion
from steps.governance.errors import IntegrityError, Unavailable


@dataclass(frozen=True)
class TableFiles:
    """The files of one version: the size in bytes by path, as the log has them, and their store."""

    location: str
    sizes: Mapping[str, int]
    store: Store

    def uri(self, path: str) -> str:
        """Return the URI of a path of the log, which is URL-encoded."""
        return f"{self.location}/{unquote(path)}"


def files(registry: Registry, recorded: TableVersion) -> TableFiles:
    """Return the active files of a table's version.

    Raises:
        IntegrityError: the log does not have this version any more, or cannot be replayed.
        Unavailable: the storage gave no answer.
    """
    store, options = registry.table_store(recorded.table)
    location = recorded.location.rstrip("/")
    doing = f"replay the log of {recorded.table} to version {recorded.version}"
    try:
        table = DeltaTable(location, version=recorded.version, storage_options=options)
        added = table.get_add_actions(flatten=True)
    except (OSError, DeltaError, ValueError) as error:
        translated = storage_error(doing, error)
        if isinstance(translated, Unavailable) or type(translated).__name__ == "AccessDenied":
            raise translated from error
        raise IntegrityError(
            f"cannot {doing}", expected="a whole log", got=one_line(error)
        ) from error
    sizes = dict(zip(added["path"].to_pylist(), added["size_bytes"].to_pylist(), strict=True))
    return TableFiles(location, sizes, store)


def commit(registry: Registry, recorded: TableVersion) -> list[Mapping[str, Any]]:
    """Return the actions of the commit that made this version.

    Raises:
        NotFound: the log has no such commit.
        IntegrityError: the commit is not JSON lines.
    """
    store, _ = registry.table_store(recorded.table)
    location = recorded.location.rstrip("/")
    uri = f"{location}/_delta_log/{recorded.version:020d}.json"
    try:
        actions = [json.loads(line) for line in store.read(uri).splitlines() if line.strip()]
    except ValueError:
        raise IntegrityError(f"{uri} is not a commit", expected="one JSON object a line") from None
    if not all(isinstance(action, dict) for action in actions):
        raise IntegrityError(f"{uri} is not a commit", expected="one JSON object a line")
    return actions
