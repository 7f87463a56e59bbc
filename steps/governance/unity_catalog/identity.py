"""Authenticate to Databricks as one service principal: OAuth machine-to-machine.

    host, secret_id = "https://dbc-1.cloud.databricks.com", "…/databricks/prepare"
    workspace = connect(host=host, secret_id=secret_id, region="eu-west-1")
    workspace.client.tables.get("edgar.raw.filings")

Instead of a secret, `federated:<application id>` names a principal that trusts the AWS role of this
process (`sign_in`). A client secret or a role's token is held only in memory and is sent only to
`<host>/oidc/v1/token`: not to an endpoint that a discovery document names, and not across a
redirect. The first token is fetched at once, so a wrong identity fails before any work.

External calls: GetSecretValue, GetWebIdentityToken and the token request have no side effect. They
are retried as reads (`governance.retrying`). A 401 of the token endpoint is never retried with the
same secret: the secret is read again, because it may have been rotated. A 401 of another call means
that the token was revoked: it is dropped and replaced once. If the new one is refused too, the
secret is read again; another secret gives a third token, and the same one ends the call.
"""

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from databricks.sdk.oauth import Refreshable, Token

from steps.governance.errors import IdentityRefused, Unavailable
from steps.governance.logs import hold_back_secrets
from steps.governance.sign_in.identities import FederatedIdentity, Identity, named
from steps.governance.sign_in.identities import read_identity as read_identity
from steps.governance.unity_catalog.hosts import checked_host as checked_host
from steps.governance.unity_catalog.retrying import Policy, Unanswered, repeated
from steps.governance.unity_catalog.sdk.client import WorkspaceApis, workspace_client
from steps.governance.unity_catalog.transport import TIMEOUT_SECONDS, Renew, Transport

log = logging.getLogger(__name__)

_TOKEN_PATH = "/oidc/v1/token"  # noqa: S105 - a path, not a token


@dataclass(frozen=True)
class Workspace:
    """An authenticated workspace client, its principal, and the retry policy of its calls."""

    host: str
    principal: str
    client: WorkspaceApis
    policy: Policy = field(default_factory=Policy)
    renew: Renew | None = None


def connect(*, host: str, secret_id: str, region: str, policy: Policy | None = None) -> Workspace:
    """Authenticate, and return a client that renews its access tokens while the job runs.

    `policy` bounds the retries of each call; secret and first token have its `starting_seconds`.

    Raises:
        UsageError: the host is not a Databricks workspace.
        IdentityRefused: the secret is missing, unreadable or incomplete, or the workspace refused
            it.
        Unavailable: the workspace did not answer.
    """
    hold_back_secrets()
    origin = checked_host(host)
    policy = policy or Policy()
    starting = policy.within(policy.starting_seconds)
    tokens = _SecretTokens(_TokenEndpoint(origin, starting), secret_id, region)
    tokens.token()
    tokens.endpoint = _TokenEndpoint(origin, policy)
    return Workspace(
        origin,
        tokens.identity.client_id,
        workspace_client(origin, tokens.header, policy=policy, renew=tokens.renewed),
        policy,
        tokens.renewed,
    )


class _TokenEndpoint:
    """The token endpoint of a workspace."""

    def __init__(self, origin: str, policy: Policy) -> None:
        self.origin, self.policy = origin, policy
        self._session = requests.Session()
        self._session.mount(f"{origin}/", Transport(policy))

    def request_token(self, identity: Identity | FederatedIdentity) -> requests.Response:
        """Request one token, with retries; a refusal is returned as it came.

        Raises:
            IdentityRefused: AWS states no identity of this process to others.
            Unavailable: no answer within the budget.
        """
        request = repeated(
            identity.token_request, doing="state this process's identity", policy=self.policy
        )
        try:
            return self._session.post(
                self.origin + _TOKEN_PATH,
                data=request.form,
                auth=request.auth,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except Unanswered as error:
            raise Unavailable(
                f"the workspace at {urlsplit(self.origin).netloc} gave no access token",
                expected=f"an answer from {self.origin}{_TOKEN_PATH} "
                f"within {self.policy.seconds:.0f} s",
                got=str(error),
                do="check the host, DNS and the network path from this job to the workspace, "
                "then run again",
            ).asking(error.retry_after_seconds) from None


class _SecretTokens(Refreshable):
    """Access tokens of the principal in one secret.

    Tokens are renewed before they expire; a rotated secret is read again.
    """

    def __init__(self, endpoint: _TokenEndpoint, secret_id: str, region: str) -> None:
        super().__init__(disable_async=False)
        self._renewing = threading.Lock()
        self.endpoint, self._secret_id, self._region = endpoint, secret_id, region
        self.identity = self._read()

    def header(self) -> dict[str, str]:
        """Return the Authorization header with a token that is valid now."""
        return {"Authorization": f"Bearer {self.token().access_token}"}

    def renewed(self, used: str, *, reread: bool) -> dict[str, str] | None:
        """Return the header to use after `used` got a 401, or None if nothing else is left to try.

        Args:
            used: the Authorization header that was refused.
            reread: the token was refused that replaced a refused one. The secret is read, and only
                another one gives another token.
        """
        rotated = self._read() if reread else self.identity
        with self._renewing:
            if reread and rotated == self.identity and self.header()["Authorization"] == used:
                return None
            self.identity = rotated
            if self.header()["Authorization"] == used:  # no other thread has replaced it
                log.warning("the workspace refused the access token; it is dropped and replaced")
                with self._lock:
                    self._update_token(self.refresh())
        return self.header()

    def refresh(self) -> Token:
        """Return a new token. After a refusal the secret is read again: it may have been rotated.

        A role's token may have expired while the workspace did not answer: another one is sent.
        """
        answer = self.endpoint.request_token(self.identity)
        if answer.status_code in self.identity.refusals:
            rotated = self._read()
            if rotated != self.identity or isinstance(rotated, FederatedIdentity):
                self.identity = rotated
                answer = self.endpoint.request_token(rotated)
        return _parsed(answer, self.endpoint.origin, identity=self.identity, stored=self._secret_id)

    def _read(self) -> Identity | FederatedIdentity:
        return repeated(
            lambda: named(self._secret_id, self._region),
            doing=f"read the secret {self._secret_id}",
            policy=self.endpoint.policy,
        )


def signed_in(host: str, identity: Identity, *, policy: Policy | None = None) -> Workspace:
    """Sign in with an identity that no secret holds yet; its token is not renewed.

    Raises:
        UsageError: the host is not a Databricks workspace.
        IdentityRefused: the workspace refused the identity.
        Unavailable: the workspace did not answer.
    """
    hold_back_secrets()
    origin, policy = checked_host(host), policy or Policy()
    answer = _TokenEndpoint(origin, policy).request_token(identity)
    token = _parsed(answer, origin, identity=identity, stored="a new secret")
    header = {"Authorization": f"Bearer {token.access_token}"}
    client = workspace_client(origin, lambda: header, policy=policy)
    return Workspace(origin, identity.client_id, client, policy)


def _parsed(
    answer: requests.Response,
    origin: str,
    *,
    identity: Identity | FederatedIdentity,
    stored: str,
) -> Token:
    if answer.status_code != requests.codes.ok:
        raise IdentityRefused(
            f"{origin} refused the service principal {identity.client_id}",
            expected="an access token",
            got=f"HTTP {answer.status_code} {_oauth_error(answer)}",
            do=f"{identity.remedy} ({stored})",
        )
    try:
        document = answer.json()
        token, lasts = document["access_token"], timedelta(seconds=int(document["expires_in"]))
        expiry = datetime.now() + lasts  # noqa: DTZ005 - as the SDK compares it
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        token = None
    if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
        raise IdentityRefused(
            f"{origin} answered without a valid access token",
            expected="JSON with access_token and expires_in",
            got="HTTP 200 with other content (not shown)",
            do="check that the host is the workspace itself, not a proxy or a login page",
        )
    # S106: "Bearer" is a scheme, not a password.
    return Token(access_token=token, token_type="Bearer", expiry=expiry)  # noqa: S106


def _oauth_error(answer: requests.Response) -> str:
    """Return only the OAuth error code: the description could repeat the request."""
    try:
        return str(answer.json()["error"])[:60]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
