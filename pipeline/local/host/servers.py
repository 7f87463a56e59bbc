"""The servers of the embedded environment: their commands and environment variables. Each is
recorded as soon as it runs, so that `down` finds it even if the command that started it was killed.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.local.host.processes import Process, start, stop, wait_until_ready
from pipeline.local.host.signals import deferred
from pipeline.local.host.state import Record, State

REPOSITORY = Path(__file__).resolve().parents[3]

# The variables that a server inherits. AWS_*, DATABRICKS_* and proxies are not among them.
_INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV", "JAVA_HOME"),
    "GOVERNED_FINETUNE_CALLS",  # pipeline/local/aws/recorded
)


class Servers:
    """The servers started by one `up`, oldest first."""

    def __init__(self, state: State, record: Record) -> None:
        self._state, self.record = state, record

    def url(self, name: str) -> str:
        """Return the URL of a server, on the loopback."""
        return f"http://127.0.0.1:{self.record.ports[name]}"

    def aws(self, engine: str) -> None:
        """Start the AWS stand-in and wait until it answers (about a second)."""
        argv = ["-m", "pipeline.local.aws", *self._placed("aws"), "--engine", engine]
        process = self._start("aws", argv, {})
        self._await(process, "/_ministack/health")

    def tracking(self) -> None:
        """Start a real MLflow server, which the workspace forwards to. It takes seconds to start,
        and the workspace waits for it at the first request, so this method does not.
        """
        folder = self._state.folder / "tracking"
        folder.mkdir(parents=True, exist_ok=True)
        argv = [
            *("-m", "pipeline.local.host.tracking_server"),
            *("--port", str(self.record.ports["tracking"])),
            *("--database", str(folder / "mlflow.db")),
        ]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._start("tracking", argv, quiet)

    def workspace(
        self,
        *,
        storage_bucket: str,
        external_id: str,
        identity: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> None:
        """Start the Databricks workspace with the AWS identity that assumes the storage role.

        `options` are others of `pipeline.local.workspace`.
        """
        argv = [
            *("-m", "pipeline.local.workspace", *self._placed("workspace")),
            *("--storage-bucket", storage_bucket, "--external-id", external_id),
            *("--tracking-url", self.url("tracking"), "--aws-endpoint", self.url("aws")),
            *options,
        ]
        process = self._start("workspace", argv, identity)
        self._await(process, "/.well-known/databricks-config")

    def worker(self, command: Sequence[str], session: Mapping[str, str]) -> None:
        """Start the supervisor of the register worker: its image's command, its role's session."""
        argv = [
            *("-m", "pipeline.local.supervisor", "--state", str(self._state.folder)),
            *("--endpoint", self.url("aws"), "--", *command),
        ]
        self._start("register", argv, session)

    def ready(self) -> None:
        """Wait until the servers that nothing waited for answer, or still run.

        Raises:
            PipelineError: one has ended, or does not answer; the message has the end of its log.
        """
        by_name = {process.name: process for process in self.record.processes}
        self._await(by_name["tracking"], "/health")
        if by_name["register"].handle() is None:
            raise PipelineError(
                f"register ended while it started; its log: {self._state.log('register')}"
            )

    def stop(self) -> None:
        """End all servers, the AWS stand-in last, so that a worker can finish the effect that it is
        writing.

        A further Ctrl-C is deferred until then, because it would leave processes behind.
        """
        with deferred():
            stop([process for process in self.record.processes if process.name != "aws"])
            stop(self.record.processes)
            self._remember(replace(self.record, processes=(), complete=False))

    def remember_variables(self, variables: dict[str, str]) -> None:
        """Record the values of `${NAME}` in conf/local.yaml for later commands."""
        self._remember(replace(self.record, variables=variables))

    def remember_complete(self) -> None:
        """Record that the last server runs, and so that the environment is complete."""
        self._remember(replace(self.record, complete=True))

    def _placed(self, name: str) -> list[str]:
        return ["--port", str(self.record.ports[name]), "--state", str(self._state.folder)]

    def _start(
        self,
        name: str,
        argv: Sequence[str],
        extra: Mapping[str, str],
        *,
        executable: str = sys.executable,
    ) -> Process:
        environment = (
            inherited() | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"} | dict(extra)
        )
        log = self._state.log(name)
        with deferred():  # nothing would stop a process that runs and is not recorded
            process = start(
                name, [executable, *argv], environment=environment, cwd=REPOSITORY, log=log
            )
            self._remember(replace(self.record, processes=(*self.record.processes, process)))
        return process

    def _await(self, process: Process, path: str) -> None:
        wait_until_ready(process, self.url(process.name) + path, log=self._state.log(process.name))

    def _remember(self, record: Record) -> None:
        self.record = record
        self._state.save(record)


def inherited() -> dict[str, str]:
    """Return the variables of this shell that servers and commands inherit."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
