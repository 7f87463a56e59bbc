"""The Starlette application: it authenticates calls, runs handlers, and writes the audit log."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.local.workspace import oauth, people_pages
from pipeline.local.workspace.api import Call, Endpoint, Json, Workspace
from pipeline.local.workspace.audit import Audit
from pipeline.local.workspace.catalog import (
    catalog,
    federation,
    grants,
    groups,
    principals,
    storage,
    tables,
    vending,
)
from pipeline.local.workspace.errors import InvalidParameter, NotServed, WorkspaceError
from pipeline.local.workspace.fault_injection import Faults
from pipeline.local.workspace.files import files
from pipeline.local.workspace.lineage import edges, metadata
from pipeline.local.workspace.mlflow import experiments
from pipeline.local.workspace.mlflow.artifacts import Artifacts
from pipeline.local.workspace.mlflow.tracking import Tracking
from pipeline.local.workspace.models import uc_registry
from pipeline.local.workspace.models.mlflow_registry import registry_routes

RawHandler = Callable[[Call, Request], Awaitable[Response]]

_log = logging.getLogger(__name__)
_MODULES = (
    principals,
    federation,
    groups,
    catalog,
    storage,
    tables,
    grants,
    vending,
    metadata,
    edges,
    uc_registry,
    experiments,
)
_MLFLOW = [f"/api/{version}/mlflow/{{path:path}}" for version in ("2.0", "3.0", "4.0")]
_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Server:
    """The workspace over HTTP."""

    def __init__(self, workspace: Workspace, audit: Audit):
        self._workspace = workspace
        self._audit = audit
        self._tracking = Tracking(workspace.settings)

    def application(self) -> ASGIApp:
        """Return the ASGI application; it injects faults if the settings enable them."""
        app = Starlette(
            routes=[
                *self._oauth(),
                *self._json(),
                *self._files(),
                *self._mlflow(),
                *people_pages.routes(self._workspace.settings.tracking_url),
            ],
            exception_handlers={HTTPException: _unknown_path},
            lifespan=self._lifespan,
        )
        return Faults(app) if self._workspace.settings.enable_faults else app

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        await self._tracking.close()
        self._audit.close()
        self._workspace.store.close()

    # Routes

    def _oauth(self) -> list[Route]:
        settings = self._workspace.settings

        async def workspace_discovery(_request: Request) -> Response:
            return JSONResponse(oauth.workspace_discovery(settings))

        async def server_discovery(_request: Request) -> Response:
            return JSONResponse(oauth.server_discovery(settings))

        return [
            Route("/.well-known/databricks-config", workspace_discovery),
            Route("/oidc/.well-known/oauth-authorization-server", server_discovery),
            Route("/oidc/v1/token", self._token, methods=["POST"]),
        ]

    def _json(self) -> list[Route]:
        endpoints = [
            endpoint for module in _MODULES for endpoint in module.routes
        ] + registry_routes()
        return [
            self._route(one.method, one.path, one.action, self._in_thread(one)) for one in endpoints
        ]

    def _files(self) -> list[Route]:
        file, folder = "/api/2.0/fs/files/{path:path}", "/api/2.0/fs/directories/{path:path}"
        return [
            self._route("PUT", file, "filesPut", files.upload),
            self._route("HEAD", file, "filesHead", files.file_metadata),
            self._route("GET", file, "filesGet", files.download),
            self._route("DELETE", file, "filesDelete", files.delete_file),
            self._route("PUT", folder, "directoriesPut", files.make_directory),
            self._route("HEAD", folder, "directoriesHead", files.directory_metadata),
            self._route("GET", folder, "directoriesList", files.list_directory),
        ]

    def _mlflow(self) -> list[Route]:
        artifacts, runs = Artifacts(self._tracking), "/api/2.0/mlflow/artifacts"
        models = "/api/2.0/mlflow/logged-models/{model_id}/artifacts"
        return [
            self._route("GET", f"{runs}/list", "listArtifacts", artifacts.list_run),
            self._route(
                "POST", f"{runs}/{{operation}}", "artifactCredentials", artifacts.run_credentials
            ),
            self._route(
                "GET", f"{runs}/{{operation}}", "artifactCredentials", artifacts.run_credentials
            ),
            self._route("GET", f"{models}/directories", "listArtifacts", artifacts.list_model),
            self._route(
                "POST",
                f"{models}/{{operation}}",
                "artifactCredentials",
                artifacts.model_credentials,
            ),
            *(
                self._route(method, path, "mlflow", self._forward)
                for path in _MLFLOW
                for method in _ANY_METHOD
            ),
        ]

    def _route(self, method: str, path: str, action: str, handler: RawHandler) -> Route:
        async def serve(request: Request) -> Response:
            return await self._serve(request, action, handler)

        route = Route(path, serve, methods=[method])
        route.methods = {method}  # Starlette adds HEAD to GET; here they are different operations
        return route

    # One request

    async def _serve(self, request: Request, action: str, handler: RawHandler) -> Response:
        """Authenticates, does the work, and writes the audit line before answering."""
        call = Call(self._workspace, "", dict(request.path_params), dict(request.query_params))
        error = ""
        try:
            call.principal = oauth.principal_of(
                self._workspace, request.headers.get("authorization", "")
            )
            response = await handler(call, request)
        except WorkspaceError as refusal:
            error = str(refusal)
            response = JSONResponse(refusal.body(), refusal.status)
        except Exception:  # noqa: BLE001 - a defect is logged and answered as a 500
            _log.exception("%s failed (request %s)", action, call.request_id)
            error = f"The workspace failed; its log has the reason (request {call.request_id})."
            response = JSONResponse({"error_code": "INTERNAL_ERROR", "message": error}, 500)
        call.about = call.about or request.url.path
        self._audit.write(call, action, status=response.status_code, error=error)
        response.headers["x-request-id"] = call.request_id
        # mlflow's run_tracking_server_id
        response.headers["x-databricks-org-id"] = oauth.WORKSPACE_ID
        return response

    def _in_thread(self, endpoint: Endpoint) -> RawHandler:
        """Run a JSON endpoint's handler in a thread, in a transaction unless it calls AWS."""

        def work(call: Call) -> Json:
            if not endpoint.atomic:
                return endpoint.handler(call)
            with call.store.transaction():
                return endpoint.handler(call)

        async def handle(call: Call, request: Request) -> Response:
            call.body = _object(await request.body())
            return JSONResponse(await run_in_threadpool(work, call))

        return handle

    async def _forward(self, call: Call, request: Request) -> Response:
        if request.url.path.startswith("/api/2.0/mlflow/unity-catalog/"):
            raise _not_served(request)
        return await self._tracking.forward(call, request)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        authorization = request.headers.get("authorization", "")
        call, error = Call(self._workspace, ""), ""
        try:
            call.principal, answer = await run_in_threadpool(
                oauth.issue_token, self._workspace, form, authorization
            )
            response = JSONResponse(answer, headers={"cache-control": "no-store"})
        except oauth.InvalidClient as refusal:
            error = refusal.error
            response = JSONResponse(refusal.body(), refusal.status)
        self._audit.write(call, "oidcTokenAuthorization", status=response.status_code, error=error)
        return response


def _object(body: bytes) -> Json:
    """Return a request's JSON object; an empty body is an empty object."""
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidParameter("The request's body is not a JSON object.", code="MALFORMED_REQUEST")
    return parsed


def _not_served(request: Request) -> NotServed:
    return NotServed(f"not implemented here: {request.method} {request.url.path}")


async def _unknown_path(request: Request, _error: Exception) -> Response:
    """Answer 501 for a path that this stand-in does not have."""
    refusal = _not_served(request)
    return JSONResponse(refusal.body(), refusal.status)
