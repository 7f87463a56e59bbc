"""The base model of the embedded environment: tiny, random, and in Ministral's exact checkpoint
format.

`scripts/make-tiny-model` makes it once, in a separate process because it needs torch. Like a
mirrored model it is uploaded under its revision with `mirror.json`, which has every file's sha256.
Train checks the files before it loads them.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.local.host.servers import REPOSITORY, inherited
from pipeline.mirror import MIRROR

NAME = "tiny-ministral-fp8"  # its name in conf/local.yaml


class Making:
    """The creation of the model, in parallel with the start of the servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        if not (folder / MIRROR).exists():
            shutil.rmtree(folder, ignore_errors=True)  # an incomplete model of a run that was ended
            script = str(REPOSITORY / "scripts" / "make-tiny-model")
            argv = [sys.executable, script, "--output", str(folder), "--name", NAME]
            self._process = subprocess.Popen(
                argv,
                env=inherited() | {"PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def mirror(self) -> dict[str, Any]:
        """Wait for the model and return its mirror document.

        Raises:
            PipelineError: the script failed; the message has its last lines.
        """
        if self._process is not None:
            output, _ = self._process.communicate()
            if self._process.returncode != 0:
                tail = "\n".join(f"    {line}" for line in output.splitlines()[-8:])
                raise PipelineError(f"the tiny base model could not be made\n{tail}")
            self._process = None
        document: dict[str, Any] = json.loads((self._folder / MIRROR).read_text(encoding="utf-8"))
        return document

    def stop(self) -> None:
        """End the script if it still runs. An incomplete model has no mirror.json and is made
        again.
        """
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
