"""EMR Serverless: applications and job runs, the API's half. What a run does stands in `job_run`.

An application's id is derived from its name, so that an environment made anew keeps the ids its configuration names.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws import job_run, paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import ApplicationNotFound, Conflict, Invalid, NotServed
from pipeline.local.aws.store import Document, now

SERVICE = "emr-serverless.amazonaws.com"
ENDED = ("SUCCESS", "FAILED", "CANCELLED")
INTERRUPTED = "The embedded environment ended while this job ran. Start it again."
DEFAULT_TIMEOUT_MINUTES = 720
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_RUN_SERVED = {
    "applicationId", "clientToken", "executionRoleArn", "jobDriver", "configurationOverrides", "tags",
    "executionTimeoutMinutes", "name", "mode", "executionIamPolicy",
}  # fmt: skip
_RUN_SUMMARY = (
    "applicationId", "name", "mode", "arn", "createdBy", "createdAt", "updatedAt", "executionRole", "state",
    "stateDetails", "releaseLabel",
)  # fmt: skip
_APPLICATION_SUMMARY = (
    "name",
    "arn",
    "releaseLabel",
    "type",
    "state",
    "stateDetails",
    "createdAt",
    "updatedAt",
    "architecture",
)

Operation = Callable[[Caller, Document], Document]
# method, path with the names of its parts, operation; the first that fits
ROUTES: tuple[tuple[str, str, str], ...] = (
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
    """The operation that a REST request means, with the names in its path."""
    for verb, template, operation in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        if verb == method and (match := re.fullmatch(pattern, path.rstrip("/"))):
            return operation, match.groupdict()
    return None


class EmrServerless:
    """The operations of ROUTES."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._runs: dict[str, job_run.JobRun] = {}
        self.operations: Mapping[str, Operation] = {
            "CreateApplication": self.create_application,
            "ListApplications": self.list_applications,
            "GetApplication": self.get_application,
            "DeleteApplication": self.delete_application,
            "StartApplication": self.start_application,
            "StopApplication": self.stop_application,
            "StartJobRun": self.start_job_run,
            "ListJobRuns": self.list_job_runs,
            "GetJobRun": self.get_job_run,
            "CancelJobRun": self.cancel_job_run,
        }

    def recover(self) -> None:
        """Runs that were under way when the environment ended have failed."""
        for run in self._store.all("job-run"):
            if run["state"] not in ENDED:
                with self._store.edit("job-run", run["jobRunId"]) as document:
                    job_run.end(document, "FAILED", INTERRUPTED)

    def create_application(self, caller: Caller, request: Document) -> Document:
        """A new application; the same client token again answers the one it made."""
        if request["type"].upper() != "SPARK":
            raise NotServed(f"CreateApplication type {request['type']}")
        with self._store.alone():
            for application in self._store.all("application"):
                if application["_token"] == request.get("clientToken") and application["state"] != "TERMINATED":
                    return _names(application)
            identifier = self._free_id(request.get("name", ""))
            at = now()
            application = {key: value for key, value in request.items() if key != "clientToken"} | {
                "applicationId": identifier,
                "arn": self._account.arn("emr-serverless", f"/applications/{identifier}"),
                "type": "Spark",
                "state": "CREATED",
                "createdAt": at,
                "updatedAt": at,
                "_token": request.get("clientToken"),
            }
            self._store.add("application", identifier, application)
        return _names(application)

    def replace_application(self, identifier: str, request: Document) -> Document:
        """The application with other settings, for CloudFormation's update; its id and name stay."""
        with self._store.edit("application", identifier) as application:
            application |= {key: value for key, value in request.items() if key not in ("name", "type")} | {
                "updatedAt": now()
            }
            return application

    def list_applications(self, caller: Caller, request: Document) -> Document:
        """Applications, oldest first."""
        states = _many(request.get("states"))
        found = [
            {"id": item["applicationId"]} | {key: item[key] for key in _APPLICATION_SUMMARY if key in item}
            for item in self._store.all("application")
            if not states or item["state"] in states
        ]
        applications, token = paging.page(found, request, spelling="nextToken")
        return {"applications": applications, **token}

    def get_application(self, caller: Caller, request: Document) -> Document:
        """The whole application."""
        return {"application": _public(self._application(request))}

    def delete_application(self, caller: Caller, request: Document) -> Document:
        """Terminate an application that has no run under way."""
        application = self._application(request)
        if any(run["state"] not in ENDED for run in self._runs_of(application)):
            raise Conflict(f"Application {application['applicationId']} has job runs that are not finished")
        return self._set_state(application, "TERMINATED")

    def start_application(self, caller: Caller, request: Document) -> Document:
        """Start; StartJobRun does it by itself."""
        return self._set_state(self._application(request), "STARTED")

    def stop_application(self, caller: Caller, request: Document) -> Document:
        """Stop an application that has no run under way."""
        application = self._application(request)
        if any(run["state"] not in ENDED for run in self._runs_of(application)):
            raise Conflict(f"Application {application['applicationId']} has job runs that are not finished")
        return self._set_state(application, "STOPPED")

    def start_job_run(self, caller: Caller, request: Document) -> Document:
        """Check rights, role and driver as AWS would, then start the run; the same client token starts nothing new."""
        if strange := sorted(request.keys() - _RUN_SERVED):
            raise NotServed(f"StartJobRun {', '.join(strange)}")
        application = self._application(request)
        if "sparkSubmit" not in (request.get("jobDriver") or {}):
            raise NotServed("StartJobRun without jobDriver.sparkSubmit")
        role = request["executionRoleArn"]
        self._account.check_may_pass(caller, role, SERVICE)
        session = self._account.session_of(role, SERVICE, "EMRServerless", policy=request.get("executionIamPolicy"))
        with self._store.alone():
            for run in self._runs_of(application):
                if run["_token"] == request["clientToken"]:
                    return {key: run[key] for key in ("applicationId", "jobRunId", "arn")}
            run = self._new_run(application, caller, request)
            self._store.add("job-run", run["jobRunId"], run)
        self._set_state(application, "STARTED")
        running = self._runs[run["jobRunId"]] = job_run.JobRun(self._account, run["jobRunId"], session)
        threading.Thread(target=running.run, name=f"job-run {run['jobRunId']}", daemon=True).start()
        return {key: run[key] for key in ("applicationId", "jobRunId", "arn")}

    def list_job_runs(self, caller: Caller, request: Document) -> Document:
        """Runs of one application, newest first."""
        states = _many(request.get("states"))
        found = [
            {"id": run["jobRunId"], "type": "SPARK"} | {key: run[key] for key in _RUN_SUMMARY if key in run}
            for run in reversed(self._runs_of(self._application(request)))
            if not states or run["state"] in states
        ]
        runs, token = paging.page(found, request, spelling="nextToken")
        return {"jobRuns": runs, **token}

    def get_job_run(self, caller: Caller, request: Document) -> Document:
        """The whole run."""
        return {"jobRun": _public(self._run(request))}

    def cancel_job_run(self, caller: Caller, request: Document) -> Document:
        """SIGTERM to the driver, SIGKILL after the grace."""
        run = self._run(request)
        with self._store.edit("job-run", run["jobRunId"]) as document:
            if document["state"] in ENDED:
                raise Invalid(f"Job run {run['jobRunId']} cannot be cancelled: it is {document['state']}")
            document |= {"state": "CANCELLING", "updatedAt": now()}
        grace = request.get("shutdownGracePeriodInSeconds")
        self._runs[run["jobRunId"]].stop(None if grace is None else float(_many(grace)[0]))
        return {key: run[key] for key in ("applicationId", "jobRunId")}

    def kill_all(self) -> None:
        """End every process group: the server is closing."""
        for run in list(self._runs.values()):
            run.kill()

    def _new_run(self, application: Document, caller: Caller, request: Document) -> Document:
        at = now()
        identifier = _base36(hashlib.sha256(f"{request['clientToken']} {at}".encode()).digest())
        kept = ("jobDriver", "configurationOverrides", "tags", "name", "executionIamPolicy")
        return {key: request[key] for key in kept if key in request} | {
            "applicationId": application["applicationId"],
            "jobRunId": identifier,
            "arn": f"{application['arn']}/jobruns/{identifier}",
            "createdBy": caller.arn,
            "createdAt": at,
            "updatedAt": at,
            "executionRole": request["executionRoleArn"],
            "executionTimeoutMinutes": request.get("executionTimeoutMinutes") or DEFAULT_TIMEOUT_MINUTES,
            "state": "SUBMITTED",
            "stateDetails": "",
            "releaseLabel": application["releaseLabel"],
            "mode": request.get("mode", "BATCH"),
            "attempt": 1,
            "_token": request["clientToken"],
        }

    def _set_state(self, application: Document, state: str) -> Document:
        with self._store.edit("application", application["applicationId"]) as document:
            document |= {"state": state, "updatedAt": now()}
        return {}

    def _application(self, request: Document) -> Document:
        application = self._store.get("application", request["applicationId"])
        if application is None or application["state"] == "TERMINATED":
            raise ApplicationNotFound(f"Application {request['applicationId']} does not exist")
        return application

    def _run(self, request: Document) -> Document:
        run = self._store.get("job-run", request["jobRunId"])
        if run is None or run["applicationId"] != request["applicationId"]:
            raise ApplicationNotFound(f"Job run {request['jobRunId']} does not exist")
        return run

    def _runs_of(self, application: Document) -> list[Document]:
        return [run for run in self._store.all("job-run") if run["applicationId"] == application["applicationId"]]

    def _free_id(self, name: str) -> str:
        for number in range(1, 10_000):
            identifier = _base36(hashlib.sha256(f"{name} {number}".encode()).digest())
            taken = self._store.get("application", identifier)
            if taken is None or taken["state"] == "TERMINATED":
                return identifier
        raise Conflict(f"there are too many applications called {name}")


def _base36(digest: bytes) -> str:
    """16 characters as EMR Serverless's own ids: two zeros, then letters and digits."""
    number = int.from_bytes(digest, "big")
    return "00" + "".join(_ALPHABET[number // 36**place % 36] for place in range(14))


def _names(application: Document) -> Document:
    return {key: application[key] for key in ("applicationId", "name", "arn") if key in application}


def _public(document: Document) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
