"""EMR Serverless: the REST routes and the operations on job runs.

`driver_run` executes a run.
"""

import re
import threading
from collections.abc import Callable, Mapping

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.emr_serverless import driver_run
from pipeline.local.aws.emr_serverless.applications import (
    RUN_ENDED,
    Applications,
    base36,
    check_monitoring,
)
from pipeline.local.aws.errors import ApplicationNotFound, Invalid, NotServed
from pipeline.local.aws.processes.built_image import built
from pipeline.local.aws.store import Document, now

SERVICE = "emr-serverless.amazonaws.com"
INTERRUPTED = "The embedded environment ended while this job ran. Start it again."
DEFAULT_TIMEOUT_MINUTES = 720  # GetJobRun's documentation
_SERVED = {
    "applicationId", "clientToken", "executionRoleArn", "jobDriver", "configurationOverrides",
    "tags", "executionTimeoutMinutes", "name", "mode", "executionIamPolicy",
}  # fmt: skip
_SUMMARY = (
    "applicationId", "name", "mode", "arn", "createdBy", "createdAt", "updatedAt", "executionRole",
    "state", "stateDetails", "releaseLabel",
)  # fmt: skip
_STARTED = ("applicationId", "jobRunId", "arn")
# method, path with the names of its parts, operation
ROUTES = (
    ("POST", "/applications", "CreateApplication"),
    ("GET", "/applications", "ListApplications"),
    ("GET", "/applications/{applicationId}", "GetApplication"),
    ("DELETE", "/applications/{applicationId}", "DeleteApplication"),
    ("POST", "/applications/{applicationId}/start", "StartApplication"),
    ("POST", "/applications/{applicationId}/stop", "StopApplication"),
    ("POST", "/applications/{applicationId}/jobruns", "StartJobRun"),
    ("GET", "/applications/{applicationId}/jobruns", "ListJobRuns"),
    ("GET", "/applications/{applicationId}/jobruns/{jobRunId}", "GetJobRun"),
    ("DELETE", "/applications/{applicationId}/jobruns/{jobRunId}", "CancelJobRun"),
)


def route(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return the operation of a REST request, with the names in its path."""
    for verb, template, operation in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        if verb == method and (match := re.fullmatch(pattern, path.rstrip("/"))):
            return operation, match.groupdict()
    return None


class EmrServerless:
    """Every operation of ROUTES; those on applications are in `applications`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._running: dict[str, driver_run.JobRun] = {}
        self.applications = Applications(account)
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            **self.applications.operations,
            "StartJobRun": self.start,
            "ListJobRuns": self.list_all,
            "GetJobRun": self.describe,
            "CancelJobRun": self.cancel,
        }

    def recover(self) -> None:
        """Mark runs that were under way when the environment ended as failed."""
        for run in self._store.all("job-run"):
            if run["state"] not in RUN_ENDED:
                with self._store.edit("job-run", run["jobRunId"]) as document:
                    driver_run.end(document, "FAILED", INTERRUPTED)

    def start(self, caller: Caller, request: Document) -> Document:
        """Check rights, role and driver as AWS does, then start the run. A repeated client token
        returns the run that it started.
        """
        _check_served(request)
        application = self.applications.get(request)
        role = request["executionRoleArn"]
        self._account.check_may_pass(caller, role, SERVICE)
        if request.get("tags"):
            self._account.check_allowed(
                caller, "emr-serverless:TagResource", f"{application['arn']}/jobruns/*"
            )
        session = self._account.session_of(
            role, SERVICE, "EMRServerless", policy=request.get("executionIamPolicy")
        )
        with self._store.alone():
            for earlier in self._of(application):
                if earlier["_token"] == request["clientToken"]:
                    return {key: earlier[key] for key in _STARTED}
            run = _document(application, caller, request) | self._image_of(application)
            self._store.add("job-run", run["jobRunId"], run)
        self.applications.start(caller, request)
        running = self._running[run["jobRunId"]] = driver_run.JobRun(
            self._account, run["jobRunId"], session
        )
        threading.Thread(target=running.run, name=f"job-run {run['jobRunId']}", daemon=True).start()
        return {key: run[key] for key in _STARTED}

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Runs of one application, newest first."""
        paging.check("ListJobRuns", request, {"applicationId", "states"})
        states = paging.many(request.get("states"))
        found = [
            {"id": run["jobRunId"], "type": "SPARK"}
            | {key: run[key] for key in _SUMMARY if key in run}
            for run in reversed(self._of(self.applications.get(request)))
            if not states or run["state"] in states
        ]
        runs, token = paging.page(found, request, spelling="nextToken")
        return {"jobRuns": runs, **token}

    def describe(self, caller: Caller, request: Document) -> Document:
        """The whole run."""
        return {
            "jobRun": {
                key: value for key, value in self._run(request).items() if not key.startswith("_")
            }
        }

    def cancel(self, caller: Caller, request: Document) -> Document:
        """SIGTERM to the driver, SIGKILL after the grace."""
        run = self._run(request)
        with self._store.edit("job-run", run["jobRunId"]) as document:
            if document["state"] in RUN_ENDED:
                raise Invalid(
                    f"Job run {run['jobRunId']} cannot be cancelled: it is {document['state']}"
                )
            document |= {"state": "CANCELLING", "updatedAt": now()}
        grace = request.get("shutdownGracePeriodInSeconds")
        self._running[run["jobRunId"]].stop(None if grace is None else float(grace))
        return {key: run[key] for key in ("applicationId", "jobRunId")}

    def kill_all(self) -> None:
        """Kill every process group, because the server is closing."""
        for run in list(self._running.values()):
            run.kill()

    def _run(self, request: Document) -> Document:
        run = self._store.get("job-run", request["jobRunId"])
        if run is None or run["applicationId"] != request["applicationId"]:
            raise ApplicationNotFound(f"Job run {request['jobRunId']} does not exist")
        return run

    def _image_of(self, application: Document) -> Document:
        """The run's image. Its digest is resolved at the submission of the run, as on EMR where
        applicationLevelDigestResolution is false.
        """
        if not (applied := application.get("imageConfiguration")):
            return {}
        made = built(self._account.repository, self._account.state, applied["imageUri"])
        return {"imageConfiguration": applied | {"resolvedImageDigest": made.digest}}

    def _of(self, application: Document) -> list[Document]:
        return [
            run
            for run in self._store.all("job-run")
            if run["applicationId"] == application["applicationId"]
        ]


def _check_served(request: Document) -> None:
    """Refuse fields that this environment does not implement."""
    if strange := sorted(request.keys() - _SERVED):
        raise NotServed(f"StartJobRun {', '.join(strange)}")
    if "sparkSubmit" not in (request.get("jobDriver") or {}):
        raise NotServed("StartJobRun without jobDriver.sparkSubmit")
    check_monitoring("StartJobRun configurationOverrides", request.get("configurationOverrides"))


def _document(application: Document, caller: Caller, request: Document) -> Document:
    at = now()
    identifier = base36(f"{request['clientToken']} {at}")
    kept = ("jobDriver", "configurationOverrides", "tags", "name", "executionIamPolicy")
    return {key: request[key] for key in kept if key in request} | {
        "applicationId": application["applicationId"],
        "jobRunId": identifier,
        "arn": f"{application['arn']}/jobruns/{identifier}",
        "createdBy": caller.arn,
        "createdAt": at,
        "updatedAt": at,
        "executionRole": request["executionRoleArn"],
        "executionTimeoutMinutes": request.get("executionTimeoutMinutes")
        or DEFAULT_TIMEOUT_MINUTES,
        "state": "SUBMITTED",
        "stateDetails": "",
        "releaseLabel": application["releaseLabel"],
        "mode": request.get("mode", "BATCH"),
        "attempt": 1,
        "_token": request["clientToken"],
    }
