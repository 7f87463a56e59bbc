"""One container of a training job: its files, its environment, its process, its log.

    <folder>/opt/ml/input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
                    input/data/<channel>/…       checkpoints/       model/       output/{data/,failure}

The root moves with SAGEMAKER_BASE_DIR. A restarted job has a new one: an instance that is gone
leaves nothing behind but its log.
"""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.processes.job_process import JobProcess, inherited
from pipeline.local.aws.store import Document
from pipeline.local.aws.training_jobs.status import MAX_REASON_CHARACTERS

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_HOST = "algo-1"
_LOG = "log"
_GROUP = "homogeneousCluster"  # AWS's name for a job without instance groups


class Container:
    """One attempt."""

    def __init__(
        self, account: Account, job: Document, command: Sequence[str], session: RoleSession
    ) -> None:
        self._account = account
        self._job = job
        self._command = command
        self._session = session
        self._folder = account.state / "jobs" / job["TrainingJobName"]
        self.ml = self._folder / "opt" / "ml"
        self.last_line = ""
        self._process: JobProcess | None = None
        self._told_to_stop = False
        self._lock = threading.Lock()

    def lay_out(self) -> None:
        """An empty /opt/ml with the files that say what the job is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            elif left.name != _LOG:
                left.unlink()
        for folder in ("input/config", "input/data", "model", "output/data"):
            (self.ml / folder).mkdir(parents=True, exist_ok=True)
        for name, content in self._files().items():
            (self.ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    @contextlib.contextmanager
    def running(self, hear: Callable[[str], object]) -> Iterator[JobProcess]:
        """The process, each of its lines heard and logged; the block waits for its end."""
        from pipeline.local.aws.processes.logs import LogStream

        log = LogStream(
            self._account.client("logs", self._session),
            group=LOG_GROUP,
            name=f"{self._job['TrainingJobName']}/{_HOST}-{int(time.time())}",
            copy=self._folder / _LOG,
        )

        def line_heard(_: str, line: str) -> None:
            log.write(line)
            hear(line)

        try:
            yield self._start(line_heard)
        finally:
            log.close()
            self.last_line = log.last_line

    def stop(self) -> None:
        """SIGTERM, and after the grace SIGKILL; before the start, both as soon as it runs."""
        with self._lock:
            self._told_to_stop = True
            if self._process is not None:
                self._process.stop(self._account.stop_grace_seconds)

    def kill(self) -> None:
        """End the process group now."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def reason(self, code: int) -> str:
        """Why it failed, in its own words if it left any."""
        failure = self.ml / "output" / "failure"
        said = failure.read_text(errors="replace").strip() if failure.is_file() else self.last_line
        how = f"exit code: {code}" if code >= 0 else f"killed by signal {-code}"
        return f"AlgorithmError: {said[: MAX_REASON_CHARACTERS - 60]}, {how}"

    def _start(self, hear: Callable[[str, str], None]) -> JobProcess:
        with self._lock:
            self._process = JobProcess(
                self._command,
                cwd=self._account.repository,
                environment=self._environment(),
                hear=hear,
                merged=True,
            )
            if self._told_to_stop:
                self._process.stop(self._account.stop_grace_seconds)
            return self._process

    def _environment(self) -> dict[str, str]:
        return (
            inherited(self._folder)
            | (self._job.get("Environment") or {})
            | self._account.variables(self._session)
            | {
                "SAGEMAKER_BASE_DIR": str(self.ml),
                "TRAINING_JOB_NAME": self._job["TrainingJobName"],
                "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            }
        )

    def _files(self) -> dict[str, Any]:
        return {
            "hyperparameters": self._job.get("HyperParameters") or {},
            "inputdataconfig": {
                channel["ChannelName"]: _channel(channel)
                for channel in self._job.get("InputDataConfig") or []
            },
            "resourceconfig": self._resources(),
        }

    def _resources(self) -> dict[str, Any]:
        instance_type = (self._job.get("ResourceConfig") or {}).get("InstanceType", "local")
        group = {"instance_group_name": _GROUP, "instance_type": instance_type, "hosts": [_HOST]}
        return {
            "current_host": _HOST,
            "current_instance_type": instance_type,
            "current_group_name": _GROUP,
            "hosts": [_HOST],
            "instance_groups": [group],
            "network_interface_name": "lo",
        }


def _channel(channel: Document) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": "File",
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": "None",
    }
