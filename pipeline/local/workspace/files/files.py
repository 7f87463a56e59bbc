"""The Files API: uploads, downloads, folders. `file_paths` has the paths and their rights. Files
are stored in the workspace's storage bucket, which only the storage role can access.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from email.utils import format_datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pipeline.local.workspace.api import Call, Json
from pipeline.local.workspace.catalog.storage import storage_client
from pipeline.local.workspace.errors import AlreadyExists, InvalidParameter, NotFound, Unavailable
from pipeline.local.workspace.files.file_paths import storage_key

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_PAGE = 1000


async def upload(call: Call, request: Request) -> Response:
    """Store one file atomically."""
    key = await run_in_threadpool(storage_key, call, call.path["path"], write=True)
    only_new = (
        {"IfNoneMatch": "*"} if call.query.get("overwrite", "false").lower() != "true" else {}
    )
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
        async for chunk in request.stream():
            spool.write(chunk)
        spool.seek(0)
        await run_in_threadpool(_storage, call, "put_object", key, Body=spool, **only_new)
    return Response(status_code=204)


async def download(call: Call, request: Request) -> Response:
    """Return one file or, with a Range header, a part of it."""
    asked = {"Range": request.headers["range"]} if "range" in request.headers else {}
    found = await run_in_threadpool(_stored, call, "get_object", **asked)
    headers = _headers(found) | ({"content-range": found["ContentRange"]} if asked else {})
    chunks = found["Body"].iter_chunks(_CHUNK_BYTES)
    kind = "application/octet-stream"
    return StreamingResponse(chunks, 206 if asked else 200, headers=headers, media_type=kind)


async def file_metadata(call: Call, _request: Request) -> Response:
    """Return size and time of a file as headers (HEAD /api/2.0/fs/files/{path}).

    Raises:
        NotFound: the file does not exist.
    """
    found = await run_in_threadpool(_stored, call, "head_object")
    return Response(headers=_headers(found), media_type="application/octet-stream")


async def delete_file(call: Call, _request: Request) -> Response:
    """Delete one file (DELETE /api/2.0/fs/files/{path}). Needs the right to write."""
    key = await run_in_threadpool(storage_key, call, call.path["path"], write=True)
    await run_in_threadpool(_storage, call, "delete_object", key)
    return Response(status_code=204)


async def make_directory(call: Call, _request: Request) -> Response:
    """Do nothing: object storage has no folders, one exists as soon as it has a file."""
    await run_in_threadpool(storage_key, call, call.path["path"], write=True)
    return Response(status_code=204)


async def list_directory(call: Call, _request: Request) -> Response:
    """Return one page of a folder's content (GET /api/2.0/fs/directories/{path}).

    Raises:
        NotFound: nothing is stored below the path.
    """
    found = await run_in_threadpool(_folder, call, call.query.get("page_token"))
    return JSONResponse(_listing(found, call.path["path"].strip("/")))


async def directory_metadata(call: Call, _request: Request) -> Response:
    """Check that a folder exists (HEAD /api/2.0/fs/directories/{path}).

    Raises:
        NotFound: nothing is stored below the path.
    """
    await run_in_threadpool(_folder, call, None)
    return Response()


def list_folder(call: Call, key: str, token: str | None) -> Json:
    """Return one page of the files and folders directly below a key.

    Raises:
        NotFound: nothing is stored below the key.
    """
    more = {"ContinuationToken": token} if token else {}
    found = _storage(
        call, "list_objects_v2", None, Prefix=f"{key}/", Delimiter="/", MaxKeys=_PAGE, **more
    )
    if not token and not found.get("KeyCount"):
        raise NotFound("The directory being accessed is not found.", code="NOT_FOUND")
    return dict(found)


def _folder(call: Call, token: str | None) -> Json:
    return list_folder(call, storage_key(call, call.path["path"]), token)


def _listing(found: Json, folder: str) -> Json:
    folders = [
        (entry["Prefix"].rstrip("/"), {"is_directory": True})
        for entry in found.get("CommonPrefixes", [])
    ]
    files = [
        (
            entry["Key"],
            {
                "is_directory": False,
                "file_size": entry["Size"],
                "last_modified": int(entry["LastModified"].timestamp() * 1000),
            },
        )
        for entry in found.get("Contents", [])
    ]
    contents = [
        {"path": f"/{folder}/{key.rpartition('/')[2]}", "name": key.rpartition("/")[2]} | facts
        for key, facts in folders + files
    ]
    token = found.get("NextContinuationToken")
    return {"contents": contents} | ({"next_page_token": token} if token else {})


def _headers(found: Json) -> dict[str, str]:
    modified = format_datetime(found["LastModified"].astimezone(UTC), usegmt=True)
    return {
        "content-length": str(found["ContentLength"]),
        "last-modified": modified,
        "accept-ranges": "bytes",
    }


def _stored(call: Call, operation: str, **arguments: Any) -> Any:
    return _storage(call, operation, storage_key(call, call.path["path"]), **arguments)


def _storage(call: Call, operation: str, key: str | None, **arguments: Any) -> Any:
    client = storage_client(call)
    named = {"Key": key} if key else {}
    with _refusals():
        return getattr(client, operation)(
            Bucket=call.workspace.settings.storage_bucket, **named, **arguments
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise S3's refusals as errors of the Files API."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchKey" | "404":
                raise NotFound("The file being accessed is not found.", code="NOT_FOUND") from None
            case "PreconditionFailed":
                raise AlreadyExists("The file being created already exists.") from None
            case "InvalidRange" | "416":
                raise InvalidParameter("The requested range is outside of the file.") from None
            case code:
                raise Unavailable(f"The workspace's storage bucket refused: {code}") from None
    except BotoCoreError as error:
        raise Unavailable(f"The workspace's storage bucket: {type(error).__name__}") from None
