"""OAuth machine-to-machine: discovery, tokens for client id and secret, and the principal of a
token.

The store keeps hashes of tokens, so they remain valid after a restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Mapping

from pipeline.local.workspace.api import Json, Workspace
from pipeline.local.workspace.catalog.principals import PRINCIPAL, secret_matches
from pipeline.local.workspace.errors import Unauthenticated, WorkspaceError
from pipeline.local.workspace.settings import Settings

TOKEN = "TOKEN"  # noqa: S105 - the name of a kind of document
WORKSPACE_ID = "1"
ACCOUNT_ID = "00000000-0000-4000-8000-000000000001"


class InvalidClient(WorkspaceError):
    """An error of the token endpoint, in RFC 6749's form rather than Databricks'."""

    def __init__(
        self, error: str = "invalid_client", description: str = "Client authentication failed"
    ):
        super().__init__(description)
        self.error = error
        self.status = 401 if error == "invalid_client" else 400

    def body(self) -> Json:
        """Return the error as RFC 6749, section 5.2, requires."""
        return {"error": self.error, "error_description": str(self)}


def workspace_discovery(settings: Settings) -> Json:
    """Return the document that the SDK requests first."""
    return {
        "oidc_endpoint": f"{settings.host}/oidc",
        "account_id": ACCOUNT_ID,
        "workspace_id": WORKSPACE_ID,
        "cloud": "AWS",
        "host_type": "workspace",
    }


def server_discovery(settings: Settings) -> Json:
    """Return the answer of GET /oidc/.well-known/oauth-authorization-server."""
    return {
        "issuer": f"{settings.host}/oidc",
        "authorization_endpoint": f"{settings.host}/oidc/v1/authorize",
        "token_endpoint": f"{settings.host}/oidc/v1/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }


def issue_token(
    workspace: Workspace, form: Mapping[str, str], authorization: str
) -> tuple[str, Json]:
    """Return (client id, token answer) for a correct client id and secret.

    Raises:
        InvalidClient: unknown client, wrong or expired secret, or another grant than
            client_credentials.
    """
    client_id, secret = _client(form, authorization)
    if form.get("grant_type") != "client_credentials":
        raise InvalidClient("unsupported_grant_type", "Only client_credentials is served here.")
    if workspace.store.get(PRINCIPAL, client_id) is None or not secret_matches(
        workspace.store, client_id, secret
    ):
        raise InvalidClient
    token, lifetime = secrets.token_urlsafe(32), workspace.settings.token_ttl_seconds
    with workspace.store.transaction():
        _forget_expired(workspace)
        workspace.store.put(
            TOKEN, _digest(token), {"principal": client_id, "expires": time.time() + lifetime}
        )
    return client_id, {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": "all-apis",
    }


def principal_of(workspace: Workspace, authorization: str) -> str:
    """Return the application id of a bearer token's principal.

    Raises:
        Unauthenticated: the token is missing, unknown or expired, or its principal was deleted.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer" or not token:
        raise Unauthenticated("Credential was not sent or was of an unsupported type for this API.")
    known = workspace.store.get(TOKEN, _digest(token))
    if known is None or workspace.store.get(PRINCIPAL, known["principal"]) is None:
        raise Unauthenticated("Invalid access token.")
    if known["expires"] <= time.time():
        raise Unauthenticated("Access token expired.")
    return str(known["principal"])


def _client(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme != "Basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidClient from None
    return client_id, secret


def _forget_expired(workspace: Workspace) -> None:
    now = time.time()
    for key, document in workspace.store.items(TOKEN):
        # An expired token stays for a day: "expired" is a better answer than "invalid".
        if document["expires"] < now - 24 * 3600:
            workspace.store.delete(TOKEN, key)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
