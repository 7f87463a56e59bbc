"""Storage credentials (an IAM role each) and external locations (a URL and its credential).

Paths in docstrings are below /api/2.1/unity-catalog.
"""

from __future__ import annotations

from typing import Any

from pipeline.local.workspace.api import Call, Json, Routes, flag
from pipeline.local.workspace.catalog.catalog import create, delete, listed, refuse_existing, update
from pipeline.local.workspace.catalog.locations import contains, normalize, overlaps
from pipeline.local.workspace.errors import InvalidParameter, InvalidState, NotFound, NotServed
from pipeline.local.workspace.rights.securables import Kind, Securable
from pipeline.local.workspace.store import Document

_UC = "/api/2.1/unity-catalog"
_CREDENTIALS = f"{_UC}/storage-credentials"
_LOCATIONS = f"{_UC}/external-locations"

routes = Routes()


@routes.post(_CREDENTIALS, "createStorageCredential")
def create_credential(call: Call) -> Json:
    """Create a credential (POST /storage-credentials).

    Needs CREATE STORAGE CREDENTIAL on the metastore. Unless `skip_validation` is set, the control
    plane has to be able to assume the role, and the role itself.

    Raises:
        ResourceExists: the name is taken.
        PermissionDenied: the privilege is missing, or the role does not trust the control plane or
            itself.
    """
    credential = call.target(Kind.STORAGE_CREDENTIAL, call.text("name")).checked()
    metastore = call.workspace.metastore
    call.access.require(
        "CREATE_STORAGE_CREDENTIAL", Securable(Kind.METASTORE, metastore["metastore_id"])
    )
    refuse_existing(call, credential)
    role = _role(call)
    if not call.body.get("skip_validation"):
        call.workspace.aws.require_self_assuming(role["role_arn"], role["external_id"])
    return create(call, credential, {"name": credential.name, "aws_iam_role": role})


@routes.post(_LOCATIONS, "createExternalLocation")
def create_location(call: Call) -> Json:
    """Create a location (POST /external-locations).

    Needs CREATE EXTERNAL LOCATION on the metastore and on the credential.

    Raises:
        ResourceExists: the name is taken.
        InvalidParameter: the URL is not valid or overlaps with another location.
    """
    location = call.target(Kind.EXTERNAL_LOCATION, call.text("name")).checked()
    credential = Securable(Kind.STORAGE_CREDENTIAL, call.text("credential_name"))
    metastore = Securable(Kind.METASTORE, call.workspace.metastore["metastore_id"])
    call.access.require("CREATE_EXTERNAL_LOCATION", metastore)
    used = call.access.require("CREATE_EXTERNAL_LOCATION", credential)
    refuse_existing(call, location)
    url = normalize(call.text("url"))
    _refuse_overlap(call, url)
    fields = {
        "name": location.name,
        "url": url,
        "credential_name": credential.name,
        "credential_id": used["id"],
    }
    return create(call, location, fields)


@routes.get(_CREDENTIALS, "listStorageCredentials")
def list_credentials(call: Call) -> Json:
    """Return the credentials that the caller may see (GET /storage-credentials)."""
    return listed(
        call, Kind.STORAGE_CREDENTIAL, "", ("CREATE_EXTERNAL_LOCATION", "READ_FILES", "WRITE_FILES")
    )


@routes.get(_LOCATIONS, "listExternalLocations")
def list_locations(call: Call) -> Json:
    """Return the locations that the caller may see (GET /external-locations)."""
    return listed(call, Kind.EXTERNAL_LOCATION, "", _LOCATION_VIEW)


@routes.get(f"{_CREDENTIALS}/{{name}}", "getStorageCredential")
def get_credential(call: Call) -> Json:
    """Return a credential (GET /storage-credentials/{name}).

    Needs CREATE EXTERNAL LOCATION, READ FILES, WRITE FILES, BROWSE or MANAGE.
    """
    privileges = ("CREATE_EXTERNAL_LOCATION", "READ_FILES", "WRITE_FILES")
    return call.access.require_view(
        privileges, call.target(Kind.STORAGE_CREDENTIAL, call.path["name"])
    )


@routes.get(f"{_LOCATIONS}/{{name}}", "getExternalLocation")
def get_location(call: Call) -> Json:
    """Return a location (GET /external-locations/{name}).

    Needs READ FILES, WRITE FILES, CREATE EXTERNAL TABLE, EXTERNAL USE LOCATION, BROWSE or MANAGE.
    """
    return call.access.require_view(
        _LOCATION_VIEW, call.target(Kind.EXTERNAL_LOCATION, call.path["name"])
    )


@routes.patch(f"{_CREDENTIALS}/{{name}}", "updateStorageCredential")
def update_credential(call: Call) -> Json:
    """Change owner or comment (PATCH /storage-credentials/{name}). Needs MANAGE."""
    if "aws_iam_role" in call.body:
        raise NotServed("not implemented here: changing the role of a storage credential")
    return update(call, call.target(Kind.STORAGE_CREDENTIAL, call.path["name"]))


@routes.patch(f"{_LOCATIONS}/{{name}}", "updateExternalLocation")
def update_location(call: Call) -> Json:
    """Change owner or comment (PATCH /external-locations/{name}). Needs MANAGE."""
    if {"url", "credential_name"} & call.body.keys():
        raise NotServed("not implemented here: changing url or credential of an external location")
    return update(call, call.target(Kind.EXTERNAL_LOCATION, call.path["name"]))


@routes.delete(f"{_CREDENTIALS}/{{name}}", "deleteStorageCredential")
def delete_credential(call: Call) -> Json:
    """Delete a credential (DELETE /storage-credentials/{name}). Needs MANAGE.

    Raises:
        InvalidState: a location uses it, and `force` is not set.
    """
    credential = call.target(Kind.STORAGE_CREDENTIAL, call.path["name"])
    users = [
        doc
        for doc in call.store.all(Kind.EXTERNAL_LOCATION.name)
        if doc["credential_name"] == credential.name
    ]
    if users and not flag(call.query, "force"):
        raise InvalidState(f"{credential} is used by External Location '{users[0]['name']}'.")
    return delete(call, credential)


@routes.delete(f"{_LOCATIONS}/{{name}}", "deleteExternalLocation")
def delete_location(call: Call) -> Json:
    """Delete a location (DELETE /external-locations/{name}). Needs MANAGE.

    Raises:
        InvalidState: a table is stored there, and `force` is not set.
    """
    location = call.target(Kind.EXTERNAL_LOCATION, call.path["name"])
    url = call.access.require_manage(location)["url"]
    inside = [
        doc for doc in call.store.all(Kind.TABLE.name) if contains(url, doc["storage_location"])
    ]
    if inside and not flag(call.query, "force"):
        raise InvalidState(
            f"{location} has dependent tables, the first is '{inside[0]['full_name']}'."
        )
    return delete(call, location)


_LOCATION_VIEW = ("READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE", "EXTERNAL_USE_LOCATION")


# What tables, vending and files ask


def location_of(call: Call, url: str) -> Securable:
    """Return the external location that covers a URL, or None. Locations never overlap."""
    for document in call.store.all(Kind.EXTERNAL_LOCATION.name):
        if contains(document["url"], url):
            return Securable(Kind.EXTERNAL_LOCATION, document["name"])
    raise NotFound(
        "[NO_PARENT_EXTERNAL_LOCATION_FOR_PATH] No parent external location was found for "
        f"path '{url}'."
    )


def credential_of(call: Call, url: str) -> Document:
    """Return the storage credential for a URL: the covering location's, else the metastore's for
    managed storage.
    """
    try:
        location = call.access.get(location_of(call, url))
    except NotFound:
        return managed_credential(call, url)
    return call.access.get(Securable(Kind.STORAGE_CREDENTIAL, location["credential_name"]))


def managed_credential(call: Call, url: str) -> Document:
    """Return the credential of the workspace's own bucket: the first that was created, like the
    metastore root's.
    """
    known = call.store.all(Kind.STORAGE_CREDENTIAL.name)
    if not known or not contains(f"s3://{call.workspace.settings.storage_bucket}", url):
        raise InvalidState(
            f"No storage credential reaches '{url}': create a storage credential first."
        )
    return known[0]


def storage_client(call: Call) -> Any:
    """Return an S3 client for the workspace's own files in its storage bucket."""
    role = managed_credential(call, f"s3://{call.workspace.settings.storage_bucket}")[
        "aws_iam_role"
    ]
    return call.workspace.aws.storage(role["role_arn"], role["external_id"])


def _role(call: Call) -> Json:
    given = call.body.get("aws_iam_role") or {}
    if not str(given.get("role_arn", "")).startswith("arn:aws:iam::"):
        raise InvalidParameter(
            "aws_iam_role.role_arn: expected arn:aws:iam::<account>:role/<name>, AWS only."
        )
    return {
        "role_arn": given["role_arn"],
        "external_id": call.workspace.metastore["external_id"],
        "unity_catalog_iam_arn": call.workspace.aws.identity(),
    }


def _refuse_overlap(call: Call, url: str) -> None:
    for other in call.store.all(Kind.EXTERNAL_LOCATION.name):
        if overlaps(url, other["url"]):
            raise InvalidParameter(
                f"[LOCATION_OVERLAP] Input path url '{url}' overlaps with External Location "
                f"'{other['name']}'."
            )
