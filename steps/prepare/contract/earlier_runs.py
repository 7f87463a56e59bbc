"""The runs whose commits a table's log still has: what each one recorded in its metadata.

    for version, metadata in newest(place): …      # newest first

The log's files are read, not an engine's history, so that both stores find the same.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from steps.prepare.delta import data_files
from steps.prepare.delta.store import Place, user_metadata
from steps.prepare.delta.tables import storage

_COMMIT = re.compile(r"([0-9]{20})\.json")
_MOST = 200  # commits that are read, so that a long log of other writers costs no more


def newest(place: Place) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield version and metadata of the newest 200 commits that the log has, newest first.

    The metadata of another program's commit is empty. A table that is not there has no commits.
    """
    from pyarrow.fs import FileSelector

    with storage(f"read the log of table {place.name}"):
        store = data_files.file_system(place.location, place.access.storage_options())
        there = store.get_file_info(FileSelector("_delta_log", allow_not_found=True))
    found = (_COMMIT.fullmatch(info.base_name) for info in there)
    versions = sorted((match[1] for match in found if match), reverse=True)
    for version in versions[:_MOST]:
        with (
            storage(f"read the log of table {place.name}"),
            store.open_input_file(f"_delta_log/{version}.json") as commit,
        ):
            lines = commit.read().splitlines()
        infos = [json.loads(line).get("commitInfo") for line in lines if b"commitInfo" in line]
        yield int(version), user_metadata(next(filter(None, infos), {}))
