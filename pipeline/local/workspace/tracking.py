"""Experiments, runs and logged models: a real `mlflow server` behind the workspace's own address and tokens.

Start it with `--default-artifact-root dbfs:/databricks/mlflow-tracking`, so that artifact URIs look as Databricks'
do. It may start beside the workspace: requests wait for it during the first `tracking_wait_seconds`. Every principal
sees every experiment; permissions on experiments are not modelled.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from pipeline.local.workspace.api import Call
from pipeline.local.workspace.errors import NotFound, Unavailable
from pipeline.local.workspace.settings import Settings

_POLL_SECONDS = 0.2
_HOP_HEADERS = ("content-type", "accept")
# An OSS server keeps logged models in <experiment>/models/, the Databricks client looks in <experiment>/logged_models/.
_LOGGED_MODEL = re.compile(rb"(dbfs:/databricks/mlflow-tracking/\d+)/models/(m-)")


class Tracking:
    """The mlflow server behind the workspace."""

    def __init__(self, settings: Settings):
        self._url = settings.tracking_url
        self._patience = time.monotonic() + settings.tracking_wait_seconds
        # The environment's proxies have no business between two processes of one machine.
        self._client = httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def forward(self, _call: Call, request: Request) -> Response:
        """The server's own answer, with Databricks' spelling of logged-model locations."""
        answer = await self._send(
            request.method,
            request.url.path,
            params=list(request.query_params.multi_items()),
            content=await request.body(),
            headers={name: request.headers[name] for name in _HOP_HEADERS if name in request.headers},
        )
        body = _LOGGED_MODEL.sub(rb"\1/logged_models/\2", answer.content)
        return Response(body, answer.status_code, media_type=answer.headers.get("content-type"))

    async def experiment_of_run(self, run_id: str) -> str:
        run = await self._ask("/api/2.0/mlflow/runs/get", {"run_id": run_id})
        return str(run["run"]["info"]["experiment_id"])

    async def experiment_of_model(self, model_id: str) -> str:
        model = await self._ask(f"/api/2.0/mlflow/logged-models/{model_id}", {})
        return str(model["model"]["info"]["experiment_id"])

    async def _ask(self, path: str, params: dict[str, str]) -> Any:
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
                    raise Unavailable(f"The tracking server at {self._url} does not answer.") from None
                await asyncio.sleep(_POLL_SECONDS)
            except httpx.TransportError as error:
                raise Unavailable(f"The tracking server at {self._url}: {type(error).__name__}.") from None
