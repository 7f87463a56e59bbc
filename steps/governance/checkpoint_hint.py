"""Open a Delta table whose `_last_checkpoint` is wrong, provided that its commits are there.

    table = past_hint(
        lambda at: DeltaTable(location, version=at, storage_options=options),
        version,
        lambda: files,
        location=location,
    )

`_last_checkpoint` is only a hint where to start reading [delta-io/delta PROTOCOL.md, "Last
Checkpoint File"]. delta-rs 1.6.6 ignores a hint that is missing or not JSON, but refuses a table
whose hint names a missing checkpoint. It does not read the hint when it opens a version before the
one that the hint names, and it can then load later versions from the commits alone. This module
does exactly that. It does not import deltalake: the register image holds governance without it.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from steps.governance.errors import GovernanceError

_HINT = "_delta_log/_last_checkpoint"
# The Delta kernel's wording: "Had a _last_checkpoint hint but didn't find any checkpoints".
_REFUSED = "_last_checkpoint hint"
_COMMIT = re.compile(r"([0-9]{20})\.json")


class Loadable(Protocol):
    """The part of `deltalake.DeltaTable` that is used here."""

    def load_as_version(self, version: Any) -> None:
        """Load the table at another version."""


OpenedTable = TypeVar("OpenedTable", bound=Loadable)


def past_hint(
    open_at: Callable[[int | None], OpenedTable],
    version: int | None,
    folder: Callable[[], Any],
    *,
    location: str,
) -> OpenedTable:
    """Return the table at a version (None: the newest), even if its `_last_checkpoint` is wrong.

    Args:
        open_at: opens the table at a version.
        version: at most the newest; the caller has compared them.
        folder: returns the table's folder as a `pyarrow.fs.FileSystem`; called only after a
            refusal.
        location: names the table in an error.

    Raises:
        GovernanceError: the hint names version 0, which has no checkpoint; no version before it
            can be opened.
    """
    try:
        return open_at(version)
    except Exception as error:
        if _REFUSED not in str(error) or (named := _named(files := folder())) < 0:
            raise
        if named == 0:
            raise GovernanceError(
                f"the Delta table at {location} cannot be opened: its {_HINT} is wrong",
                expected="no such file, or the version of a checkpoint",
                got="version 0, which has no checkpoint",
                do=f"delete {_HINT}, which is only a hint",
            ) from error
    newest = newest_commit(files)
    table = open_at(min(named - 1, newest))
    table.load_as_version(newest if version is None else version)
    return table


def newest_commit(files: Any) -> int:
    """Return the highest version in the log's listing, or -1 if it lists no commit."""
    from pyarrow.fs import FileSelector

    names = (info.base_name for info in files.get_file_info(FileSelector("_delta_log")))
    return max((int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))), default=-1)


def _named(files: Any) -> int:
    """Return the version that the hint names, or -1 if it names none."""
    with files.open_input_file(_HINT) as file:
        content = file.read()
    try:
        document = json.loads(content)
    except ValueError:
        return -1
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else -1
