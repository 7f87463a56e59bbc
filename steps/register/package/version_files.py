"""The files that mlflow writes around the adapter, with the sha256 of each, as tags of a version.

    tags = file_tags(folder)        # {"file_1": "<sha256>  MLmodel", …}: a line of sha256sum each
    recorded_files(tags)            # {"MLmodel": "<sha256>", …}

mlflow writes a time, an id and its own release into `MLmodel`, so no later delivery could make the
same bytes. The tags come into being with the version, so that every delivery knows them. The files
of the adapter and their signature have digests elsewhere in the evidence.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from steps.governance.errors import Conflict

_TAG = re.compile(r"file_[1-9][0-9]{0,2}")
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>[^\s\\][^\\]{0,150})")
_ADAPTER, _SIGNATURE = "artifacts/adapter/", "artifacts/model.sig"


def file_tags(folder: Path) -> dict[str, str]:
    """Return one tag for each file of an mlflow model but the adapter and its signature."""
    paths = sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )
    listed = [path for path in paths if not path.startswith(_ADAPTER) and path != _SIGNATURE]
    return {
        f"file_{number}": f"{_sha256(folder / path)}  {path}"
        for number, path in enumerate(listed, 1)
    }


def recorded_files(tags: Mapping[str, str]) -> dict[str, str] | None:
    """Return the sha256 (64 hex digits) of each file by its path in the version.

    None: a worker of an earlier release made the version, without these tags.

    Raises:
        Conflict: a tag was changed to something that no worker writes.
    """
    lines = [value for key, value in tags.items() if _TAG.fullmatch(key)]
    found = [_LINE.fullmatch(line) for line in lines]
    files = {each["path"]: each["sha256"] for each in found if each is not None}
    if len(files) != len(lines):
        raise Conflict(
            "the tags of the version do not name its files",
            expected="one sha256 and path in each tag `file_…`",
            got="; ".join(sorted(lines))[:300],
            do="find out who changed them; delete the version and send the message again",
        )
    return files or None


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
