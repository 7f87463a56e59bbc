"""OAuth machine-to-machine: discovery, tokens for a secret or for a trusted issuer's token, and the
principal of a token.

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
from pipeline.local.workspace.catalog import federation
from pipeline.local.workspace.catalog.principals import PRINCIPAL, secret_matches
from pipeline.local.workspace.errors import Unauthenticated, WorkspaceError
from pipeline.local.workspace.settings import Settings

TOKEN = "TOKEN"  # noqa: S105 - the name of a kind of document
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693
_JWT = "urn:ietf:params:oauth:token-type:jwt"
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
        "grant_types_supported": ["client_credentials", EXCHANGE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }


def issue_token(
    workspace: Workspace, form: Mapping[str, str], authorization: str
) -> tuple[str, Json]:
    """Return (client id, token answer) for a correct client id and secret, or a federated token.

    Raises:
        InvalidClient: unknown client, wrong or expired secret or token, or another grant.
    """
    client_id = _proven(workspace, form, authorization)
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


def _proven(workspace: Workspace, form: Mapping[str, str], authorization: str) -> str:
    """Return the client id of a principal that has proven itself."""
    client_id, secret = _client(form, authorization)
    known = workspace.store.get(PRINCIPAL, client_id) is not None
    grant = form.get("grant_type")
    if grant == "client_credentials":
        if known and secret_matches(workspace.store, client_id, secret):
            return client_id
        raise InvalidClient
    if grant == EXCHANGE and form.get("subject_token_type") == _JWT:
        if known and federation.accepts(workspace.store, client_id, form.get("subject_token", "")):
            return client_id
        raise InvalidClient("invalid_grant", "No federation policy accepts the token.")
    raise InvalidClient("unsupported_grant_type", "This grant is not served here.")


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
