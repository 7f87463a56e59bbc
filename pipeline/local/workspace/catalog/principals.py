"""Service principals and their OAuth secrets (SCIM and the secrets proxy of databricks-sdk).

The first start makes one principal, the metastore admin, and writes its id and secret to
`admin.json` (mode 0600). That admin creates all others through the API, as in a new workspace.
Secrets are stored as salted hashes. Groups are in `groups`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.errors import (
    InvalidParameter,
    InvalidState,
    NotFound,
    PermissionDenied,
)
from pipeline.local.workspace.rights.access import EVERYONE
from pipeline.local.workspace.store import Document, Store

PRINCIPAL = "PRINCIPAL"
SECRET = "SECRET"  # noqa: S105 - the name of a kind of document
SECRETS_PER_PRINCIPAL = 5  # source: docs.databricks.com, authentication with OAuth M2M
DEFAULT_LIFETIME_SECONDS = 730 * 24 * 3600

SCIM = "/api/2.0/preview/scim/v2"
_SECRETS = "/api/2.0/accounts/servicePrincipals/{id}/credentials/secrets"
_FILTER = re.compile(r'\s*(displayName|applicationId)\s+eq\s+"?([^"]*)"?\s*', re.IGNORECASE)

routes = Routes()


def new_principal(store: Store, display_name: str, *, admin: bool = False) -> Document:
    """Return a principal with Databricks' two ids: a number for the APIs, and a UUID that is also
    its OAuth client id.
    """
    document: Document = {
        "id": str(secrets.randbelow(10**15) + 10**15),
        "applicationId": str(uuid.uuid4()),
        "displayName": display_name,
        "active": True,
        "admin": admin,
    }
    store.put(PRINCIPAL, document["applicationId"], document)
    return document


def new_secret(
    store: Store, principal: Document, lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS
) -> Json:
    """Return a new secret; its value is not stored."""
    value, salt, now = "dose" + secrets.token_hex(16), secrets.token_hex(8), time.time()
    document = {
        "id": str(uuid.uuid4()),
        "salt": salt,
        "hash": _hash(value, salt),
        "created": now,
        "expires": now + lifetime_seconds,
    }
    store.put(SECRET, f"{principal['applicationId']}/{document['id']}", document)
    return _secret_info(document) | {"secret": value}


def secret_matches(store: Store, application_id: str, value: str) -> bool:
    """Return whether the secret is valid for the client id now."""
    known = [doc for doc in store.all(SECRET, f"{application_id}/") if doc["expires"] > time.time()]
    return any(hmac.compare_digest(doc["hash"], _hash(value, doc["salt"])) for doc in known)


def bootstrap_admin(store: Store, file: Path) -> str:
    """Return the metastore admin's application id; create the admin or its credentials file if
    missing.
    """
    with store.transaction():
        admins = [doc for doc in store.all(PRINCIPAL) if doc["admin"]]
        admin = admins[0] if admins else new_principal(store, "metastore-admin", admin=True)
        if not (admins and file.exists()):
            for key, _ in store.items(SECRET, f"{admin['applicationId']}/"):
                store.delete(SECRET, key)
            _write_private(file, _credentials(admin, new_secret(store, admin)))
    return str(admin["applicationId"])


def known_principal(store: Store, name: str) -> str:
    """Return the name if it is a principal to which privileges can be granted."""
    if name != EVERYONE and store.get(PRINCIPAL, name) is None:
        raise NotFound(
            f"Could not find principal with name {name}", code="PRINCIPAL_DOES_NOT_EXIST"
        )
    return name


@routes.post(f"{SCIM}/ServicePrincipals", "createServicePrincipal")
def create(call: Call) -> Json:
    """Create a service principal (POST …/scim/v2/ServicePrincipals). Needs admin."""
    require_admin(call)
    call.about = call.text("displayName")
    if call.body.get("applicationId"):
        raise InvalidParameter("applicationId is given by Databricks here; expected none.")
    return scim(new_principal(call.store, call.about))


@routes.get(f"{SCIM}/ServicePrincipals", "listServicePrincipals")
def list_principals(call: Call) -> Json:
    """Return the principals (GET …/scim/v2/ServicePrincipals). Needs no privilege."""
    found = [scim(document) for document in call.store.all(PRINCIPAL)]
    if wanted := call.query.get("filter"):
        match = _FILTER.fullmatch(wanted)
        if match is None:
            raise InvalidParameter(
                f"filter {wanted!r}: only displayName eq and applicationId eq are served here."
            )
        attribute = "displayName" if match[1].lower() == "displayname" else "applicationId"
        found = [document for document in found if document[attribute] == match[2]]
    start, count = int(call.query.get("startIndex") or 1), int(call.query.get("count") or 10000)
    some = found[start - 1 : start - 1 + count]
    return {
        "totalResults": len(found),
        "startIndex": start,
        "itemsPerPage": len(some),
        "Resources": some,
    }


@routes.get(f"{SCIM}/ServicePrincipals/{{id}}", "getServicePrincipal")
def get(call: Call) -> Json:
    """Return one principal (GET …/scim/v2/ServicePrincipals/{id}). Needs no privilege."""
    return scim(by_id(call))


@routes.delete(f"{SCIM}/ServicePrincipals/{{id}}", "deleteServicePrincipal")
def delete(call: Call) -> Json:
    """Delete a principal and its secrets (DELETE …/ServicePrincipals/{id}). Needs admin."""
    require_admin(call)
    principal = by_id(call)
    if principal["admin"]:
        raise InvalidParameter("The metastore admin cannot be deleted.")
    for kind in (SECRET, "FEDERATION_POLICY"):
        for key, _ in call.store.items(kind, f"{principal['applicationId']}/"):
            call.store.delete(kind, key)
    call.store.delete(PRINCIPAL, principal["applicationId"])
    return {}


@routes.post(_SECRETS, "createServicePrincipalSecret")
def create_secret(call: Call) -> Json:
    """Create a secret; only this answer has its value (POST …/secrets). Needs admin."""
    require_admin(call)
    principal = by_id(call)
    if len(call.store.all(SECRET, f"{principal['applicationId']}/")) >= SECRETS_PER_PRINCIPAL:
        raise InvalidState(
            f"A service principal has at most {SECRETS_PER_PRINCIPAL} secrets; delete one first."
        )
    lifetime = str(call.body.get("lifetime") or f"{DEFAULT_LIFETIME_SECONDS}s").removesuffix("s")
    if not lifetime.isdecimal() or not 0 < int(lifetime) <= DEFAULT_LIFETIME_SECONDS:
        raise InvalidParameter(
            f"lifetime: expected 1s to {DEFAULT_LIFETIME_SECONDS}s, got {lifetime}s."
        )
    return new_secret(call.store, principal, int(lifetime))


@routes.get(_SECRETS, "listServicePrincipalSecrets")
def list_secrets(call: Call) -> Json:
    """Return a principal's secrets without their values (GET …/secrets). Needs admin."""
    require_admin(call)
    found = call.store.all(SECRET, f"{by_id(call)['applicationId']}/")
    return {"secrets": [_secret_info(document) for document in found]}


@routes.delete(f"{_SECRETS}/{{secret_id}}", "deleteServicePrincipalSecret")
def delete_secret(call: Call) -> Json:
    """Delete a secret (DELETE …/secrets/{secret_id}). Needs admin."""
    require_admin(call)
    key = f"{by_id(call)['applicationId']}/{call.path['secret_id']}"
    if call.store.get(SECRET, key) is None:
        raise NotFound(f"Secret {call.path['secret_id']} does not exist.")
    call.store.delete(SECRET, key)
    return {}


def require_admin(call: Call) -> None:
    """Refuse a caller who is not the workspace's admin."""
    if not (call.store.get(PRINCIPAL, call.principal) or {}).get("admin"):
        raise PermissionDenied("Only workspace admins can manage principals and groups.")


def by_id(call: Call) -> Document:
    """Return the principal of the call's path."""
    found = [
        document for document in call.store.all(PRINCIPAL) if document["id"] == call.path["id"]
    ]
    if not found:
        raise NotFound(f"ServicePrincipal {call.path['id']} does not exist.")
    call.about = found[0]["displayName"]
    return found[0]


def scim(principal: Document) -> Json:
    """Return a principal as SCIM shows it."""
    return {name: principal[name] for name in ("id", "applicationId", "displayName", "active")}


def _secret_info(document: Document) -> Json:
    created = datetime.fromtimestamp(document["created"], UTC).isoformat()
    expires = datetime.fromtimestamp(document["expires"], UTC).isoformat()
    hashed = document["hash"]
    return {
        "id": document["id"],
        "secret_hash": hashed,
        "create_time": created,
        "update_time": created,
        "expire_time": expires,
        "status": "ACTIVE" if document["expires"] > time.time() else "EXPIRED",
    }


def _credentials(admin: Document, secret: Json) -> Json:
    return {
        "client_id": admin["applicationId"],
        "client_secret": secret["secret"],
        "service_principal_id": admin["id"],
        "oauth_secret_id": secret["id"],
    }


def _hash(value: str, salt: str) -> str:
    # The value holds 128 random bits: a fast hash is as strong here as a slow one.
    return hashlib.sha256(f"{salt}:{value}".encode()).hexdigest()


def _write_private(file: Path, document: Json) -> None:
    """Write atomically a file that only its owner can read."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(document, stream)
    partial.replace(file)
