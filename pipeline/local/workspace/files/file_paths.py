"""The object key of a file of the Files API in the storage bucket, and the rights that it needs.

/WorkspaceInternal/…                            artifacts of runs and logged models; no right needed
/Models/<catalog>/<schema>/<model>/<version>/…  a model version; EXECUTE to read; its creator may
                                                write while it is pending
"""

from __future__ import annotations

from pipeline.local.workspace.api import Call
from pipeline.local.workspace.errors import InvalidParameter, NotServed
from pipeline.local.workspace.models.models import version_location


def storage_key(call: Call, path: str, *, write: bool = False) -> str:
    """Return the object key of a file or folder that the caller may use.

    Raises:
        NotServed: it is a volume or another kind of path that this stand-in does not have.
        InvalidParameter: the path leaves its folder.
    """
    parts = path.strip("/").split("/")
    call.about = f"file '/{'/'.join(parts)}'"
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidParameter(f"'/{path}' is not a valid path.")
    match parts:
        case ["WorkspaceInternal", *_]:
            return f"workspace/files/{'/'.join(parts)}"
        case ["Models", catalog, schema, model, version, *inner]:
            location = version_location(call, f"{catalog}.{schema}.{model}", version, write=write)
            folder = location.removeprefix(f"s3://{call.workspace.settings.storage_bucket}/")
            return "/".join((folder, *inner))
    raise NotServed(f"not implemented here: files below /{parts[0]}")
