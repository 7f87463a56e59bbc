"""The servers of the embedded environment: which command each is, and what of this shell's
environment it sees.

Each is recorded the moment it runs, so that `down` finds it even if the command that started it was
killed.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.local.host.processes import Process, start, stop, wait_until_ready
from pipeline.local.host.signals import deferred
from pipeline.local.host.state import Record, State

REPOSITORY = Path(__file__).resolve().parents[3]

# What a process on this machine needs; nothing else is inherited, least of all AWS_*, DATABRICKS_*
# or a proxy.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV", "JAVA_HOME")


class Servers:
    """The servers started by one `up`, oldest first."""

    def __init__(self, state: State, record: Record) -> None:
        self._state, self.record = state, record

    def url(self, name: str) -> str:
        """Where a server answers; loopback only."""
        return f"http://127.0.0.1:{self.record.ports[name]}"

    def aws(self, engine: str) -> None:
        """The AWS stand-in; ready in about a second."""
        argv = ["-m", "pipeline.local.aws", *self._placed("aws"), "--engine", engine]
        process = self._start("aws", argv, {})
        self._await(process, "/_ministack/health")

    def tracking(self) -> None:
        """A real MLflow server, behind the workspace. Not waited for: it is slow, and the workspace
        waits when asked.
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
        self, *, storage_bucket: str, external_id: str, identity: Mapping[str, str]
    ) -> None:
        """The Databricks workspace, with the AWS identity that assumes the storage role by its
        external id.
        """
        argv = [
            *("-m", "pipeline.local.workspace", *self._placed("workspace")),
            *("--storage-bucket", storage_bucket, "--external-id", external_id),
            *("--tracking-url", self.url("tracking"), "--aws-endpoint", self.url("aws")),
        ]
        process = self._start("workspace", argv, identity)
        self._await(process, "/.well-known/databricks-config")

    def worker(self, command: Sequence[str], session: Mapping[str, str]) -> None:
        """The register worker, as its image would start it, with its role's session."""
        self._start("register", command[1:], session, executable=command[0])

    def stop(self) -> None:
        """End them all; the AWS stand-in last, so that a worker in the middle of an effect can
        finish it.

        A further Ctrl-C meanwhile is heard afterwards: now it could only leave processes behind.
        """
        with deferred():
            stop([process for process in self.record.processes if process.name != "aws"])
            stop(self.record.processes)
            self._remember(replace(self.record, processes=(), complete=False))

    def remember_variables(self, variables: dict[str, str]) -> None:
        """Note what `${NAME}` stands for, for later commands."""
        self._remember(replace(self.record, variables=variables))

    def remember_complete(self) -> None:
        """Note that the last server runs: from now on this is an environment."""
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
        with deferred():  # a process that runs and is not remembered would outlive everything
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
    """The part of this shell's environment that a server or a command of ours may see."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
