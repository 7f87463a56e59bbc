"""Experiments, runs and logged models: a real `mlflow server` behind the workspace's own address
and tokens.

Its default artifact root has to be `dbfs:/databricks/mlflow-tracking`, so that artifact URIs have
Databricks' form. It may start later than the workspace: requests wait for it during the first
`tracking_wait_seconds`.

A request that names an experiment, a run or a logged model needs a permission on the experiment
(experiments.py). Other requests (traces, prompts) are forwarded without a check. A search returns
only what the caller may see.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline.local.workspace.api import Call, Json
from pipeline.local.workspace.errors import NotFound, NotServed, Unavailable
from pipeline.local.workspace.mlflow import experiments
from pipeline.local.workspace.settings import Settings

_POLL_SECONDS = 0.2
_HOP_HEADERS = ("content-type", "accept")
# An OSS server keeps logged models in <experiment>/models/, the Databricks client looks in
# <experiment>/logged_models/.
_LOGGED_MODEL = re.compile(rb"(dbfs:/databricks/mlflow-tracking/\d+)/models/(m-)")
_MODEL_PATH = re.compile(r"logged-models/(?P<id>m-[^/]+)")
_CREATE = "experiments/create"


class Tracking:
    """The mlflow server behind the workspace."""

    def __init__(self, settings: Settings):
        self._url = settings.tracking_url
        self._experiment_of_run: dict[str, str] = {}
        self._patience = time.monotonic() + settings.tracking_wait_seconds
        # Proxies of the environment are not for connections on one machine.
        self._client = httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False)

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._client.aclose()

    async def forward(self, call: Call, request: Request) -> Response:
        """Return the server's answer if the caller has the permission; locations of logged models
        get Databricks' form.
        """
        path, fields = (
            request.url.path,
            _fields_of(await request.body()) | dict(request.query_params),
        )
        operation = path.partition("/mlflow/")[2]
        await self._permit(call, request.method, operation, fields)
        answer = await self._send(
            request.method,
            path,
            params=list(request.query_params.multi_items()),
            content=await request.body(),
            headers={
                name: request.headers[name] for name in _HOP_HEADERS if name in request.headers
            },
        )
        body = _LOGGED_MODEL.sub(rb"\1/logged_models/\2", answer.content)
        if answer.status_code == httpx.codes.OK:
            body = await run_in_threadpool(_after, call, operation, fields, body)
        return Response(body, answer.status_code, media_type=answer.headers.get("content-type"))

    async def _permit(self, call: Call, method: str, operation: str, fields: Json) -> None:
        """Refuse requests for which the caller lacks the permission."""
        if operation == _CREATE:
            return await run_in_threadpool(
                experiments.require_creation, call, str(fields.get("name", ""))
            )
        if operation == "experiments/update":
            raise NotServed("not implemented here: renaming an experiment")
        level = (
            experiments.READ
            if method == "GET" or operation.endswith("search")
            else experiments.EDIT
        )
        for experiment_id in await self._experiments_of(call, operation, fields):
            await run_in_threadpool(experiments.require, call, level, experiment_id)
        return None

    async def _experiments_of(self, call: Call, operation: str, fields: Json) -> list[str]:
        """Return the experiments that a request concerns."""
        if operation == "experiments/get-by-name":
            found = await run_in_threadpool(
                experiments.named, call, str(fields.get("experiment_name", ""))
            )
            return [found] if found else []
        if run_id := fields.get("run_id") or fields.get("run_uuid"):
            if run_id not in self._experiment_of_run:  # it never changes
                self._experiment_of_run[run_id] = await self.experiment_of_run(run_id)
            return [self._experiment_of_run[run_id]]
        if model := _MODEL_PATH.match(operation):
            return [await self.experiment_of_model(model["id"])]
        return [
            str(one)
            for one in fields.get("experiment_ids") or [fields.get("experiment_id")]
            if one is not None
        ]

    async def experiment_of_run(self, run_id: str) -> str:
        """Return the id of a run's experiment.

        Raises:
            NotFound: the server does not return the run.
            Unavailable: the server does not answer.
        """
        run = await self._fetch("/api/2.0/mlflow/runs/get", {"run_id": run_id})
        return str(run["run"]["info"]["experiment_id"])

    async def experiment_of_model(self, model_id: str) -> str:
        """Return the id of a logged model's experiment.

        Raises:
            NotFound: the server does not return the model.
            Unavailable: the server does not answer.
        """
        model = await self._fetch(f"/api/2.0/mlflow/logged-models/{model_id}", {})
        return str(model["model"]["info"]["experiment_id"])

    async def _fetch(self, path: str, params: dict[str, str]) -> Any:
        answer = await self._send("GET", path, params=params)
        if answer.status_code != httpx.codes.OK:
            raise NotFound(f"{path} {params}: {answer.text}")
        return answer.json()

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        while True:
            try:
                return await self._client.request(method, path, **arguments)
            except httpx.ConnectError:
                if time.monotonic() > self._patience:
                    raise Unavailable(
                        f"The tracking server at {self._url} does not answer."
                    ) from None
                await asyncio.sleep(_POLL_SECONDS)
            except httpx.TransportError as error:
                raise Unavailable(
                    f"The tracking server at {self._url}: {type(error).__name__}."
                ) from None


def _fields_of(body: bytes) -> Json:
    """Return the request's JSON object; empty if it is not one, which the server then refuses."""
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _after(call: Call, operation: str, fields: Json, body: bytes) -> bytes:
    """Record the creator of an experiment; remove from lists what the caller may not see."""
    if operation == _CREATE:
        experiments.note_creation(call, str(json.loads(body)["experiment_id"]), str(fields["name"]))
    if operation == "experiments/search":
        found = json.loads(body)
        seen = [
            one
            for one in found.get("experiments", [])
            if experiments.holds(call, experiments.READ, one["experiment_id"])
        ]
        return json.dumps(found | {"experiments": seen}).encode()
    return body
