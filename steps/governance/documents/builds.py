"""The code of the image that a process runs in: its commit and its lock, from `build.json`.

    build = of_this_image()             # reading.Build

The Dockerfiles write the file, from what `scripts/images` passes and from the lock in the image.
Without an image (the embedded environment) a variable names another file.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from steps.governance.documents.document import validated
from steps.governance.documents.reading import Build
from steps.governance.errors import UsageError

PATH = Path("/opt/governed-finetune/build.json")  # as containers/*/Dockerfile write it
VARIABLE = "GOVERNED_FINETUNE_BUILD"


def of_this_image(environ: Mapping[str, str] = os.environ) -> Build:
    """Return the commit and the lock that this process's image was built from.

    Raises:
        UsageError: the file is missing or is not such a document.
    """
    path = Path(environ.get(VARIABLE) or PATH)
    try:
        return validated(Build, path.read_bytes())
    except OSError as error:
        got = error.strerror or type(error).__name__
    except ValueError as error:
        got = str(error)[:300]
    raise UsageError(
        f"{path} does not state the code of this process, nothing was done",
        expected="a JSON document {git_commit, clean, lock_sha256}, as the image's build writes it",
        got=got,
        do=f"build the image with scripts/images; outside of an image, name the file in {VARIABLE}",
    ) from None
