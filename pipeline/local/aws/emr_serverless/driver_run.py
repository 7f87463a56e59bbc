"""One EMR Serverless job run: the Spark driver as a subprocess with the execution role's session.

`local://` entry points are files of the image, that is of the repository; `s3://` ones are
downloaded with the role's own keys. The driver is `spark_driver` on Sail, or the entry point itself
on the real Spark of build/spark-venv. Logs go to the same streams as on EMR Serverless:
`/aws/emr-serverless`, `applications/<app>/jobs/<run>/SPARK_DRIVER/{stdout,stderr}`.
"""

import shlex
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.emr_serverless import billing, role_rights
from pipeline.local.aws.processes.built_image import built
from pipeline.local.aws.processes.images import SPARK_PYTHON, WORKDIR, path_in_image
from pipeline.local.aws.processes.job_process import JobProcess, inherited
from pipeline.local.aws.store import Document, now

LOG_GROUP = "/aws/emr-serverless"
_SAIL_DRIVER = Path(__file__).with_name("spark_driver.py")
# A driver on Sail has four allocators (glibc's, Arrow's, Sail's, polars') that keep freed memory:
# more than half of its peak over 60,000 examples. They have to give it back. A trim threshold alone
# would end glibc's learning of the other: it would map and unmap every column above 128 KiB, a
# quarter of the job's processor time (decision 055). Sail's tasks are threads already: where polars
# has threads as well, these wait for each other, and that takes 7 % of the job (decision 049).
SAIL_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),  # bytes
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),  # bytes
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MIMALLOC_PURGE_DELAY": "0",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:500,muzzy_decay_ms:0",
    "POLARS_MAX_THREADS": "1",
}
LOCAL_MASTER = "local[2]"
MAX_DETAIL_CHARACTERS = 1024
JOB_RUN = "AWS_EMR_SERVERLESS_JOB_RUN_ID"  # [unverified: public programs read it, no page of AWS]
_DRIVER = "spark.emr-serverless.driverEnv."


class RunFailed(Exception):
    """The run failed; the message becomes stateDetails."""


def end(run: Document, state: str, details: str) -> None:
    """Set the run's final state."""
    at = now()
    run |= {
        "state": state,
        "stateDetails": details[:MAX_DETAIL_CHARACTERS],
        "updatedAt": at,
        "endedAt": at,
    }
    seconds = at - run.get("startedAt", at)
    run["totalExecutionDurationSeconds"] = round(seconds)
    if "startedAt" in run:
        parameters = run["jobDriver"]["sparkSubmit"].get("sparkSubmitParameters", "")
        run["billedResourceUtilization"] = billing.utilization(parameters, seconds)


class JobRun:
    """The thread behind one run."""

    def __init__(self, account: Account, identifier: str, session: RoleSession) -> None:
        self._account = account
        self._id = identifier
        self._session = session
        self._folder = account.state / "jobs" / identifier
        self._process: JobProcess | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run the driver and record its end; the store gets a final state in every case."""
        state, details = "SUCCESS", ""
        try:
            self._work()
        except RunFailed as failure:
            state, details = "FAILED", str(failure)
        except Exception as error:  # noqa: BLE001
            # This thread ends here, and the run must not stay RUNNING.
            state, details = "FAILED", f"Job failed to start: {error}"
        if self._stopping.is_set():
            state, details = "CANCELLED", "Job run was cancelled"
        if (
            not self._account.closing.is_set()
        ):  # else the next start of the environment records the interruption
            with self._account.store.edit("job-run", self._id) as document:
                end(document, state, details)
        self._account.revoke(self._session)

    def stop(self, grace_seconds: float | None) -> None:
        """Stop as CancelJobRun does."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.stop(
                    self._account.stop_grace_seconds if grace_seconds is None else grace_seconds
                )

    def kill(self) -> None:
        """End the process group now."""
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.kill()

    def _work(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        run = self._account.store.get("job-run", self._id) or {}
        command = self._command(run["jobDriver"]["sparkSubmit"])
        if self._stopping.is_set():
            return
        with self._account.store.edit("job-run", self._id) as document:
            if document["state"] != "CANCELLING":
                document |= {"state": "RUNNING", "startedAt": now(), "updatedAt": now()}
        code, timed_out, last_line = self._execute(run, command)
        if timed_out:
            raise RunFailed(
                f"Job run exceeded its timeout of {run['executionTimeoutMinutes']} minutes "
                "and was ended"
            )
        if code != 0:
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            raise RunFailed(
                f"Job failed, please check complete logs in configured logging destination. "
                f"Driver ended with {how}: {last_line}"
            )

    def _command(self, submit: Document) -> list[str]:
        entry, arguments = (
            self._entry_point(submit["entryPoint"]),
            submit.get("entryPointArguments") or [],
        )
        if self._account.engine == "sail":
            return [sys.executable, str(_SAIL_DRIVER), str(entry), *arguments]
        return [self._spark_python, str(entry), *arguments]

    @property
    def _spark_python(self) -> str:
        return str(self._account.repository / SPARK_PYTHON)

    def _entry_point(self, uri: str) -> Path:
        parts = urlsplit(uri)
        if parts.scheme == "local":
            return path_in_image(self._account.repository, parts.path)
        if parts.scheme != "s3":
            raise RunFailed(f"entry point {uri}: expected local://… or s3://…")
        target = self._folder / Path(parts.path).name
        from botocore.exceptions import ClientError

        try:
            self._account.client("s3", self._session).download_file(
                parts.netloc, parts.path.lstrip("/"), str(target)
            )
        except ClientError as error:
            raise RunFailed(f"entry point {uri}: {error}") from None
        return target

    def _execute(self, run: Document, command: list[str]) -> tuple[int, bool, str]:
        from pipeline.local.aws.processes.logs import LogStream

        group, prefix = _destination(run)
        client = self._account.client("logs", self._session)
        path = f"{prefix}applications/{run['applicationId']}/jobs/{self._id}/SPARK_DRIVER"
        role_rights.check(self._account, self._session, group, path)
        logs = {
            name: LogStream(client, group=group, name=f"{path}/{name}", copy=self._folder / name)
            for name in ("stdout", "stderr")
        }
        try:
            with self._lock:
                self._process = process = JobProcess(
                    command,
                    cwd=self._account.repository,
                    environment=self._environment(run),
                    on_line=lambda name, line: logs[name].write(line),
                    merged=False,
                )
                if self._stopping.is_set():
                    process.stop(self._account.stop_grace_seconds)
            code = process.wait(60 * run["executionTimeoutMinutes"])
            timed_out = code is None
            if code is None:
                process.stop(self._account.stop_grace_seconds)
                code = process.wait() or 0
        finally:
            for log in logs.values():
                log.close()
        return code, timed_out, logs["stderr"].last_line or logs["stdout"].last_line

    def _environment(self, run: Document) -> dict[str, str]:
        environment = inherited(self._folder) | self._account.variables(self._session)
        if image := run.get("imageConfiguration"):
            made = built(self._account.repository, self._account.state, image["imageUri"])
            environment |= made.variables
        parameters = run["jobDriver"]["sparkSubmit"].get("sparkSubmitParameters", "")
        environment |= {JOB_RUN: self._id} | _driver_variables(parameters, self._account.repository)
        if self._account.engine == "sail":
            environment |= SAIL_ENVIRONMENT
        if self._account.engine == "spark":
            environment |= {
                "SPARK_LOCAL_IP": "127.0.0.1",
                # else the workers run the first python3 on the PATH
                "PYSPARK_PYTHON": self._spark_python,
                "PYSPARK_SUBMIT_ARGS": _submit_arguments(parameters),
            }
        return environment


def _driver_variables(parameters: str, repository: Path) -> dict[str, str]:
    """The driver's environment variables among the spark-submit parameters. A path in the image is
    a path in the repository here.
    """
    settings = [
        word.removeprefix(_DRIVER) for word in shlex.split(parameters) if word.startswith(_DRIVER)
    ]
    pairs = (setting.partition("=") for setting in settings)
    return {name: value.replace(WORKDIR, str(repository)) for name, _, value in pairs}


def _submit_arguments(parameters: str) -> str:
    """The run's own spark-submit parameters; without a master among them, this machine is the
    cluster.
    """
    words = shlex.split(parameters)
    if "--master" not in words and not any(word.startswith("spark.master=") for word in words):
        words += ["--conf", f"spark.master={LOCAL_MASTER}"]
    return shlex.join([*words, "pyspark-shell"])


def _destination(run: Document) -> tuple[str, str]:
    """Log group and stream prefix, as the run's monitoring configuration has them."""
    monitoring: dict[str, Any] = (run.get("configurationOverrides") or {}).get(
        "monitoringConfiguration"
    ) or {}
    chosen = monitoring.get("cloudWatchLoggingConfiguration") or {}
    prefix = chosen.get("logStreamNamePrefix", "")
    return chosen.get("logGroupName") or LOG_GROUP, f"{prefix}/" if prefix else ""
