"""Databricks' experiment endpoints on loopback, in memory, with faults on demand.

    with serving() as server:
        server.trouble = [("runs/create", DROP)]   # executes the request, loses the response
        workspace(server)                          # a real databricks-sdk client of the server

tests/local/workspace has tests of the same endpoints of a real mlflow server.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.service.ml import Dataset, DatasetInput

from steps.governance.unity_catalog.identity import Workspace
from steps.train.tracking.mlflow_run import About
from tests.support.http_server import Handler, served

TOKEN = "dapi-0f5ecre7"
DROP, HANG = -1, -2
DATASET = DatasetInput(Dataset("a.b.c@3", "0" * 36, "delta_table", '{"delta_table_name": "a.b.c"}'))
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "REQUEST_LIMIT_EXCEEDED",
}


def about(job: str) -> About:
    """Return what the run of a job states about itself."""
    tags, params = {"base_model": "tiny"}, {"seed": "17"}
    return About(job, name=f"run of {job}", tags=tags, params=params, dataset=DATASET)


@dataclass
class ExperimentsServer:
    """The state of the server, the requests it received, and the next faults.

    A fault is a pair: a part of the request's path, and an HTTP status, DROP or HANG.
    """

    host: str = ""
    experiments: dict[str, str] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answered: int = 0
    trouble: list[tuple[str, int]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def requests(self, path: str) -> list[dict[str, Any]]:
        """Return the bodies that were sent to a path."""
        return [body for received, body in self.received if received == path]

    def values(self, key: str) -> list[tuple[int, Any]]:
        """Return the first run's curve. Equal values at the same step and time are one point."""
        points = {
            (m["step"], m["timestamp"], m["value"])
            for m in self.runs[0]["metrics"]
            if m["key"] == key
        }
        return [(step, value) for step, _, value in sorted(points)]

    def tags(self) -> dict[str, str]:
        """Return the first run's tags."""
        return {tag["key"]: tag["value"] for tag in self.runs[0]["data"]["tags"]}

    def next_fault(self, path: str) -> int:
        """Remove and return the first fault for the path, or 0."""
        with self.lock:
            for number, (part, fault) in enumerate(self.trouble):
                if part in path:
                    del self.trouble[number]
                    return fault
            return 0

    def act(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Execute one request."""
        with self.lock:
            self.received.append((path, body))
            return getattr(self, "_" + path.replace("/", "_").replace("-", "_"))(body)

    def _experiments_get_by_name(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        found = self.experiments.get(body["experiment_name"])
        if found is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
        return 200, {"experiment": {"experiment_id": found}}

    def _experiments_create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["name"] in self.experiments:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "exists"}
        self.experiments[body["name"]] = str(len(self.experiments) + 1)
        return 200, {"experiment_id": self.experiments[body["name"]]}

    def _runs_search(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        wanted = body["filter"].split("'")[1]
        found = [
            run
            for run in self.runs
            if {"key": "governed_finetune.training_job", "value": wanted} in run["data"]["tags"]
        ]
        return 200, {
            "runs": sorted(found, key=lambda run: run["info"]["start_time"])[: body["max_results"]]
        }

    def _runs_create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        info = {
            "run_id": f"run-{len(self.runs)}",
            "status": "RUNNING",
            "start_time": body["start_time"],
        }
        run = {
            "info": info | {"run_name": body["run_name"]},
            "data": {"tags": list(body["tags"])},
            "metrics": [],
        }
        self.runs.append(run)
        return 200, {"run": run}

    def _runs_update(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self._run(body)["info"] |= body
        return 200, {"run_info": self._run(body)["info"]}

    def _runs_log_batch(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run = self._run(body)
        run["metrics"] += body.get("metrics", [])
        run["data"]["tags"] += body.get("tags", [])
        run.setdefault("params", {}).update(
            {param["key"]: param["value"] for param in body.get("params", [])}
        )
        return 200, {}

    def _runs_log_inputs(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self._run(body)["inputs"] = body["datasets"]
        return 200, {}

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        return next(run for run in self.runs if run["info"]["run_id"] == body["run_id"])


class _Server(Handler):
    protocol_version = "HTTP/1.0"  # a kept connection has a thread, and the tests count threads
    state: ExperimentsServer  # set in a subclass for each server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self._answer(url.path, {key: values[0] for key, values in parse_qs(url.query).items()})

    def do_POST(self) -> None:
        self._answer(self.path, json.loads(self.body()))

    def _answer(self, path: str, body: dict[str, Any]) -> None:
        state = self.state
        if path == "/.well-known/databricks-config":
            return self._reply(200, {"oidc_endpoint": f"{state.host}/oidc", "workspace_id": "1"})
        assert self.headers["authorization"] == f"Bearer {TOKEN}"
        name = path.removeprefix("/api/2.0/mlflow/")
        fault = state.next_fault(name)
        if fault == HANG:
            state.hanging.set()
            state.released.wait(60)
        if fault > 0:
            state.received.append((name, body))
            code = _CODES.get(fault, "INTERNAL_ERROR")
            return self._reply(fault, {"error_code": code, "message": "trouble"})
        status, document = state.act(name, body)
        if fault != DROP:
            return self._reply(status, document)
        return self.drop()

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        self.state.answered += 1
        self.answer_json(status, document)


@contextmanager
def serving() -> Iterator[ExperimentsServer]:
    """Run a server; stop it at the end."""
    state = ExperimentsServer()
    with served(type("Server", (_Server,), {"state": state})) as state.host:
        try:
            yield state
        finally:
            state.released.set()


def workspace(server: ExperimentsServer) -> Workspace:
    """Connect as the principal `train-app`, as steps.governance.unity_catalog.identity would."""
    config = Config(host=server.host, auth_type="pat", token=TOKEN, retry_timeout_seconds=5)
    return Workspace(server.host, "train-app", WorkspaceClient(config=config))
