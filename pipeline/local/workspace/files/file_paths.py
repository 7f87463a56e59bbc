"""Where a file of the Files API lies in the storage bucket, and who may read or write it there.

/WorkspaceInternal/…                            artifacts of runs and logged models; every principal may
/Models/<catalog>/<schema>/<model>/<version>/…  a model version; EXECUTE to read, its maker to write while pending
"""

from __future__ import annotations

from pipeline.local.workspace.api import Call
from pipeline.local.workspace.errors import InvalidParameter, NotServed
from pipeline.local.workspace.models.models import version_location


def storage_key(call: Call, path: str, *, write: bool = False) -> str:
    """The object key of a file or folder that the caller may use.

    Raises:
        NotServed: it is a volume or something else that this stand-in keeps nowhere.
        InvalidParameter: the path steps out of its folder.
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
