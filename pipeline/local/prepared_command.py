"""A command of this repository that imports its packages before it is needed.

    command = PreparedCommand("pipeline.upsert", imports="pipeline.definition")
    command.begin(variables, "--env", "local", "--json")     # passes an identity; it runs
    command.document("upsert")                               # the JSON that it printed

Importing the SageMaker SDK or torch takes seconds. The process imports them while the caller still
starts servers or follows an execution. Until `begin` it has no identity and makes no call. It gets
identity and arguments through its standard input, which no other process can read.
"""

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pipeline.errors import PipelineError
from pipeline.local.host.servers import REPOSITORY, inherited

_LINES_SHOWN = 12  # of the output of a command that failed


class PreparedCommand:
    """A process that has imported its packages, or is importing them."""

    def __init__(self, module: str, *, imports: str) -> None:
        """Start the process; `imports` is the module that it imports first."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, module, imports],
            env=inherited() | {"PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"},
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, variables: Mapping[str, str], *arguments: str) -> None:
        """Run the command with these environment variables and arguments."""
        order = json.dumps({"variables": dict(variables), "arguments": arguments})
        pipe, self._process.stdin = self._process.stdin, None
        assert pipe is not None  # noqa: S101 - the constructor asked for a pipe
        # If the process failed while it imported, the pipe is broken and `document` raises.
        with suppress(BrokenPipeError), pipe:
            pipe.write(order)

    def document(self, name: str) -> Any:
        """Wait for the end of the command and return the JSON that it printed.

        Raises:
            PipelineError: the command failed; the message has the end of its output.
        """
        output, errors = self._process.communicate()
        if self._process.returncode != 0:
            tail = "\n".join(f"    {line}" for line in errors.splitlines()[-_LINES_SHOWN:])
            raise PipelineError(f"{name} failed with exit code {self._process.returncode}\n{tail}")
        return json.loads(output[output.index("{") :])

    def stop(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def main() -> None:
    """Import, wait for the order on standard input, and run the command."""
    module, imports = sys.argv[1:]
    importlib.import_module(imports)
    text = sys.stdin.read()
    if not text:
        return  # the caller ended without an order
    order = json.loads(text)
    os.environ.update(order["variables"])
    sys.argv = [module, *order["arguments"]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
