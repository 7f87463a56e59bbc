"""Whether the file that a person named can be written: asked before the work, not after it.

place.require(given.out)
"""

import os
from pathlib import Path

from pipeline.errors import UsageError


def require(path: str | os.PathLike[str] | None) -> None:
    """Refuse a file that cannot be written, before the work for it. A full disk is seen later.

    Raises:
        UsageError: it is a folder, its folder is absent, or the right to write is.
    """
    if path is None:
        return
    file = Path(path)
    if file.is_dir():
        why = "it is a folder"
    elif not file.parent.is_dir():
        why = f"the folder {file.parent} does not exist"
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        why = "no right to write there"
    else:
        return
    message = f"{file} cannot be written\n  got       {why}\n  do        name another file"
    raise UsageError(message)
