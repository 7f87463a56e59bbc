"""The base model of the embedded environment: tiny, random, in Ministral's exact checkpoint format.

`python -m pipeline.local.setup.tiny_model` makes it once, in a separate process because it needs
torch. Like a mirrored model it is uploaded under its revision, with the `mirror.json` that lists
the sha256 of every file; Train checks these before it loads anything.
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


class ModelProcess:
    """The process that makes the model while the servers start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        if not (folder / MIRROR).exists():
            shutil.rmtree(folder, ignore_errors=True)  # a partial model of an interrupted run
            module = "pipeline.local.setup.tiny_model"
            argv = [sys.executable, "-m", module, "--output", str(folder), "--name", NAME]
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
            PipelineError: the process failed; its last lines are in the message.
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
        """End the process if it still runs.

        The partial model has no mirror.json, so the next start makes it again.
        """
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
