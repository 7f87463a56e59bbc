"""EMR Serverless applications: create, list, get, start, stop, delete.

An application's id is derived from its name, so that a new environment has the same ids.
"""

import hashlib
from collections.abc import Callable, Mapping

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import ApplicationNotFound, Conflict, NotServed
from pipeline.local.aws.store import Document, now

RUN_ENDED = ("SUCCESS", "FAILED", "CANCELLED")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_SUMMARY = (
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


class Applications:
    """The operations on applications."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "CreateApplication": self.create,
            "ListApplications": self.list_all,
            "GetApplication": self.describe,
            "DeleteApplication": self.delete,
            "StartApplication": self.start,
            "StopApplication": self.stop,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Create an application; a repeated client token returns the one that it created."""
        if request["type"].upper() != "SPARK":
            raise NotServed(f"CreateApplication type {request['type']}")
        check_monitoring("CreateApplication", request)
        with self._store.alone():
            for application in self._store.all("application"):
                if (
                    application["_token"] == request.get("clientToken")
                    and application["state"] != "TERMINATED"
                ):
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

    def replace(self, identifier: str, request: Document) -> Document:
        """Replace the settings of an application, for CloudFormation's update; id and name stay."""

        check_monitoring("UpdateApplication", request)
        kept = {key: value for key, value in request.items() if key not in ("name", "type")}
        with self._store.edit("application", identifier) as application:
            application |= kept | {"updatedAt": now()}
            return application

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Applications, oldest first."""
        paging.check("ListApplications", request, {"states"})
        states = paging.many(request.get("states"))
        found = [
            {"id": item["applicationId"]} | {key: item[key] for key in _SUMMARY if key in item}
            for item in self._store.all("application")
            if not states or item["state"] in states
        ]
        applications, token = paging.page(found, request, spelling="nextToken")
        return {"applications": applications, **token}

    def describe(self, caller: Caller, request: Document) -> Document:
        """The whole application."""
        application = self.get(request)
        return {
            "application": {
                key: value for key, value in application.items() if not key.startswith("_")
            }
        }

    def delete(self, caller: Caller, request: Document) -> Document:
        """Terminate an application that has no run under way."""
        return self._set_state(self._idle(request), "TERMINATED")

    def start(self, caller: Caller, request: Document) -> Document:
        """Start the application; StartJobRun also does this."""
        return self._set_state(self.get(request), "STARTED")

    def stop(self, caller: Caller, request: Document) -> Document:
        """Stop an application that has no run under way."""
        return self._set_state(self._idle(request), "STOPPED")

    def get(self, request: Document) -> Document:
        """The application that a request names.

        Raises:
            ApplicationNotFound: it does not exist.
        """
        application = self._store.get("application", request["applicationId"])
        if application is None or application["state"] == "TERMINATED":
            raise ApplicationNotFound(f"Application {request['applicationId']} does not exist")
        return application

    def _idle(self, request: Document) -> Document:
        application = self.get(request)
        for run in self._store.all("job-run"):
            if (
                run["applicationId"] == application["applicationId"]
                and run["state"] not in RUN_ENDED
            ):
                raise Conflict(
                    f"Application {application['applicationId']} has job runs that are not finished"
                )
        return application

    def _set_state(self, application: Document, state: str) -> Document:
        with self._store.edit("application", application["applicationId"]) as document:
            document |= {"state": state, "updatedAt": now()}
        return {}

    def _free_id(self, name: str) -> str:
        for number in range(1, 10_000):
            identifier = base36(f"{name} {number}")
            taken = self._store.get("application", identifier)
            if taken is None or taken["state"] == "TERMINATED":
                return identifier
        raise Conflict(f"there are too many applications called {name}")


def check_monitoring(where: str, configuration: Document | None) -> None:
    """Refuse a request for logs in S3: this environment writes them to CloudWatch Logs only."""
    if "s3MonitoringConfiguration" in ((configuration or {}).get("monitoringConfiguration") or {}):
        raise NotServed(f"{where} monitoringConfiguration.s3MonitoringConfiguration")


def base36(text: str) -> str:
    """Return an id in EMR Serverless's form: two zeros, then 14 letters and digits derived from the
    text.
    """
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return "00" + "".join(_ALPHABET[number // 36**place % 36] for place in range(14))


def _names(application: Document) -> Document:
    return {key: application[key] for key in ("applicationId", "name", "arn") if key in application}
