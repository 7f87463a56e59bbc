"""The register worker on a machine whose disk is full.

    python full_disk_worker.py <the options of `python -m steps.register`>

What it writes to its temporary folder goes to /dev/full, whose writes fail as those of a full disk.
"""

import builtins
import io
import sys
import tempfile
from typing import Any

_PLAIN = io.open


def full(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
    """Open a file; one that would be written in the temporary folder is on the full disk."""
    if str(file).startswith(tempfile.gettempdir()) and set(mode) & set("wxa"):
        file, mode = "/dev/full", "wb" if "b" in mode else "w"
    return _PLAIN(file, mode, *arguments, **named)


if __name__ == "__main__":
    builtins.open = io.open = full
    from steps.register.__main__ import main

    sys.exit(main(sys.argv[1:]))
