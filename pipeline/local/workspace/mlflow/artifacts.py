"""Presigned URLs for artifacts of runs and logged models, which mlflow uses when the Files API
fails.

The same objects as the Files API's:
`/WorkspaceInternal/Mlflow/Artifacts/<experiment>/Runs/<run>/artifacts/…`.
"""

from __future__ import annotations

import json

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.local.workspace.api import Call, Json
from pipeline.local.workspace.catalog.storage import storage_client
from pipeline.local.workspace.errors import InvalidParameter, NotFound
from pipeline.local.workspace.files.file_paths import storage_key
from pipeline.local.workspace.files.files import list_folder
from pipeline.local.workspace.mlflow.tracking import Tracking

_URL_SECONDS = 900
_ROOT = "WorkspaceInternal/Mlflow/Artifacts"
_S3_OPERATION = {
    "credentials-for-write": "put_object",
    "credentials-for-upload": "put_object",
    "credentials-for-read": "get_object",
    "credentials-for-download": "get_object",
}


class Artifacts:
    """Artifacts by run or logged model; the tracking server has their experiment."""

    def __init__(self, tracking: Tracking):
        self._tracking = tracking

    async def run_credentials(self, call: Call, request: Request) -> Response:
        """Return a presigned URL for each path of a run's artifacts.

        Serves /api/2.0/mlflow/artifacts/{operation}, GET and POST; the operations are the keys of
        `_S3_OPERATION`.
        """
        fields = await _fields_of(call, request)
        run_id, paths = str(fields.get("run_id", "")), fields.get("path", [])
        folder = await self._run_folder(run_id)
        urls = await run_in_threadpool(
            _signed, call, folder, [paths] if isinstance(paths, str) else paths
        )
        return JSONResponse({"credential_infos": [url | {"run_id": run_id} for url in urls]})

    async def model_credentials(self, call: Call, request: Request) -> Response:
        """Return a presigned URL for each path of a logged model's artifacts.

        Serves POST /api/2.0/mlflow/logged-models/{model_id}/artifacts/{operation}.
        """
        fields = await _fields_of(call, request)
        folder = await self._model_folder(call.path["model_id"])
        urls = await run_in_threadpool(_signed, call, folder, fields.get("paths", []))
        return JSONResponse({"credentials": [{"credential_info": url} for url in urls]})

    async def list_run(self, call: Call, _request: Request) -> Response:
        """Return one page of a run's artifacts (GET /api/2.0/mlflow/artifacts/list)."""
        run_id = call.query.get("run_id", "")
        folder = await self._run_folder(run_id)
        files = await run_in_threadpool(_files, call, folder, call.query.get("path", ""))
        experiment = folder.removeprefix(f"{_ROOT}/").partition("/")[0]
        return JSONResponse(
            {"root_uri": f"dbfs:/databricks/mlflow-tracking/{experiment}/{run_id}/artifacts"}
            | files
        )

    async def list_model(self, call: Call, _request: Request) -> Response:
        """Return one page of a logged model's artifacts.

        Serves GET /api/2.0/mlflow/logged-models/{model_id}/artifacts/directories.
        """
        folder = await self._model_folder(call.path["model_id"])
        path = call.query.get("artifact_directory_path", "")
        return JSONResponse(await run_in_threadpool(_files, call, folder, path))

    async def _run_folder(self, run_id: str) -> str:
        return f"{_ROOT}/{await self._tracking.experiment_of_run(run_id)}/Runs/{run_id}/artifacts"

    async def _model_folder(self, model_id: str) -> str:
        experiment = await self._tracking.experiment_of_model(model_id)
        return f"{_ROOT}/{experiment}/LoggedModels/{model_id}/artifacts"


async def _fields_of(call: Call, request: Request) -> Json:
    """Return the request's fields: of the body or, for a GET, of the query."""
    body = await request.body()
    paths = request.query_params.getlist("path")
    return (
        json.loads(body)
        if body
        else {**call.query, "path": paths, "paths": request.query_params.getlist("paths")}
    )


def _signed(call: Call, folder: str, paths: list[str]) -> list[Json]:
    operation = _S3_OPERATION.get(call.path["operation"])
    if operation is None:
        raise InvalidParameter(
            f"Expected one of {', '.join(_S3_OPERATION)}, got {call.path['operation']}."
        )
    client, bucket = storage_client(call), call.workspace.settings.storage_bucket
    keys = {path: storage_key(call, f"{folder}/{path}") for path in paths}
    return [
        {
            "path": path,
            "type": "AWS_PRESIGNED_URL",
            "signed_uri": client.generate_presigned_url(
                operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=_URL_SECONDS
            ),
        }
        for path, key in keys.items()
    ]


def _files(call: Call, folder: str, path: str) -> Json:
    """Return one page of the files directly below a folder; a folder that does not exist is empty,
    as in mlflow.
    """
    root = storage_key(call, folder)
    try:
        found = list_folder(call, f"{root}/{path}".rstrip("/"), call.query.get("page_token"))
    except NotFound:
        return {"files": []}
    cut = len(root) + 1
    folders = [
        {"path": entry["Prefix"].rstrip("/")[cut:], "is_dir": True}
        for entry in found.get("CommonPrefixes", [])
    ]
    files = [
        {"path": entry["Key"][cut:], "is_dir": False, "file_size": entry["Size"]}
        for entry in found.get("Contents", [])
    ]
    token = found.get("NextContinuationToken")
    return {"files": folders + files} | ({"next_page_token": token} if token else {})
