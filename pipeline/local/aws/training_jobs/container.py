"""One container of a training job: its files, environment, process and log.

    <folder>/opt/ml/input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
                    input/data/<channel>/…   checkpoints/   model/   output/{data/,failure}

SAGEMAKER_BASE_DIR is the path of opt/ml. A restarted job gets an empty folder: of an instance that
was taken away only the log remains.
"""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.processes.built_image import built
from pipeline.local.aws.processes.job_process import JobProcess, inherited
from pipeline.local.aws.store import Document
from pipeline.local.aws.training_jobs.role_rights import LOG_GROUP
from pipeline.local.aws.training_jobs.status import MAX_REASON_CHARACTERS

_HOST = "algo-1"
# steps/train/distributed/required_gpu.py: the instance type is a name here, the job may have no GPU
_CPU = "GOVERNED_FINETUNE_CPU"
_LOG = "log"
_GROUP = "homogeneousCluster"  # AWS's name for a job without instance groups


class Container:
    """The container of one attempt."""

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
        self._stop_requested = False
        self._lock = threading.Lock()

    def lay_out(self) -> None:
        """Create an empty /opt/ml with the job's configuration files."""
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
    def running(self, on_line: Callable[[str], object]) -> Iterator[JobProcess]:
        """Run the process; each line is logged and passed to `on_line`. The block has to wait for
        its end.
        """
        from pipeline.local.aws.processes.logs import LogStream

        log = LogStream(
            self._account.client("logs", self._session),
            group=LOG_GROUP,
            name=f"{self._job['TrainingJobName']}/{_HOST}-{int(time.time())}",
            copy=self._folder / _LOG,
        )

        def write_line(_: str, line: str) -> None:
            log.write(line)
            on_line(line)

        try:
            yield self._start(write_line)
        finally:
            log.close()
            self.last_line = log.last_line

    def stop(self) -> None:
        """Send SIGTERM, and after the grace SIGKILL; a process that has not started gets both
        later.
        """
        with self._lock:
            self._stop_requested = True
            if self._process is not None:
                self._process.stop(self._account.stop_grace_seconds)

    def kill(self) -> None:
        """Kill the process group."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def reason(self, code: int) -> str:
        """Return the failure reason: the text of output/failure, else the last line of the log.

        The last line of a process that was killed does not explain its end: then the text is empty.
        """
        failure = self.ml / "output" / "failure"
        last = self.last_line if code >= 0 else ""
        text = failure.read_text(errors="replace").strip() if failure.is_file() else last
        how = f"exit code: {code}" if code >= 0 else f"killed by signal {-code}"
        return f"AlgorithmError: {text[: MAX_REASON_CHARACTERS - 60]}, {how}"

    def _start(self, on_line: Callable[[str, str], None]) -> JobProcess:
        with self._lock:
            self._process = JobProcess(
                self._command,
                cwd=self._account.repository,
                environment=self._environment(),
                on_line=on_line,
                merged=True,
            )
            if self._stop_requested:
                self._process.stop(self._account.stop_grace_seconds)
            return self._process

    def _environment(self) -> dict[str, str]:
        return (
            inherited(self._folder)
            | (self._job.get("Environment") or {})
            | self._account.variables(self._session)
            | self._build()
            | {
                _CPU: "allowed",
                "SAGEMAKER_BASE_DIR": str(self.ml),
                "TRAINING_JOB_NAME": self._job["TrainingJobName"],
                "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            }
        )

    def _build(self) -> dict[str, str]:
        """Return the variable that names the image's build.json."""
        image = self._job["AlgorithmSpecification"]["TrainingImage"]
        return built(self._account.repository, self._account.state, image).variables

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
