"""Authenticate to Databricks as one service principal: OAuth machine-to-machine, from one secret.

    host, secret_id = "https://dbc-1.cloud.databricks.com", "…/databricks/prepare"
    workspace = connect(host=host, secret_id=secret_id, region="eu-west-1")
    workspace.client.tables.get("edgar.raw.filings")

The client secret is held only in this module's memory and is sent only to `<host>/oidc/v1/token`:
not to an endpoint that a discovery document names, and not across a redirect. The first token is
fetched at once, so a wrong identity fails before any work.

External calls: GetSecretValue is a read (botocore retries it). The token request has no side effect
and is retried as a read (`governance.retrying`). A 401 is never retried with the same secret: the
secret is read again, because it may have been rotated.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import boto3
import requests
from botocore.exceptions import BotoCoreError, ClientError
from databricks.sdk import WorkspaceClient
from databricks.sdk.oauth import Refreshable, Token

from steps.governance.errors import IdentityRefused, Unavailable
from steps.governance.hosts import checked_host as checked_host
from steps.governance.logs import hold_back_secrets
from steps.governance.retrying import CONNECTING_SECONDS, Policy, Unanswered
from steps.governance.sdk_client import workspace_client
from steps.governance.transport import TIMEOUT_SECONDS, Transport

_TOKEN_PATH = "/oidc/v1/token"  # noqa: S105 - a path, not a token


@dataclass(frozen=True)
class Identity:
    """A service principal's application id and its secret, which `repr` omits."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Workspace:
    """An authenticated workspace client, its principal, and the retry policy of its calls."""

    host: str
    principal: str
    client: WorkspaceClient
    policy: Policy = field(default_factory=Policy)


def connect(*, host: str, secret_id: str, region: str, policy: Policy | None = None) -> Workspace:
    """Authenticate, and return a client that renews its access tokens while the job runs.

    `policy` bounds the retries of each call; a token request has `CONNECTING_SECONDS`.

    Raises:
        UsageError: the host is not a Databricks workspace.
        IdentityRefused: the secret is missing, unreadable or incomplete, or the workspace refused
            it.
        Unavailable: the workspace did not answer.
    """
    hold_back_secrets()
    origin = checked_host(host)
    policy = policy or Policy()
    tokens = _SecretTokens(
        _TokenEndpoint(origin, policy.within(CONNECTING_SECONDS)), secret_id, region
    )
    tokens.token()
    return Workspace(
        origin,
        tokens.identity.client_id,
        workspace_client(origin, tokens.header, policy=policy),
        policy,
    )


def read_identity(secret_id: str, region: str) -> Identity:
    """Read a service principal from Secrets Manager, in AWS's format `DatabricksSPSecret`.

    Raises:
        IdentityRefused: missing, not readable by this role, or without clientId and clientSecret.
    """
    secrets = boto3.client("secretsmanager", region_name=region)
    try:
        answer = secrets.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")
    except ClientError as error:
        raise _secret_refused(secret_id, error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise Unavailable(
            f"Secrets Manager did not answer for {secret_id}", got=type(error).__name__
        ) from None
    return _parse_identity(secret_id, answer.get("SecretString", ""))


def _secret_refused(secret_id: str, code: str) -> IdentityRefused:
    return IdentityRefused(
        f"the Databricks identity in the secret {secret_id} could not be read",
        expected="a secret that exists and that this job's role may read",
        got=code,
        do="create the secret, or allow secretsmanager:GetSecretValue on it to this role",
    )


def _parse_identity(secret_id: str, text: str) -> Identity:
    try:
        document = json.loads(text)
        client_id, client_secret = document["clientId"], document["clientSecret"]
    except (ValueError, KeyError, TypeError):
        client_id = client_secret = None
    if not (
        isinstance(client_id, str)
        and client_id
        and isinstance(client_secret, str)
        and client_secret
    ):
        raise IdentityRefused(
            f"the secret {secret_id} holds no Databricks service principal",
            expected="JSON with the fields clientId and clientSecret (AWS's DatabricksSPSecret)",
            got="other content (not shown)",
            do="write the secret again",
        )
    return Identity(client_id, client_secret)


class _TokenEndpoint:
    """The token endpoint of a workspace."""

    def __init__(self, origin: str, policy: Policy) -> None:
        self.origin, self._policy = origin, policy
        self._session = requests.Session()
        self._session.mount(f"{origin}/", Transport(policy))

    def request_token(self, identity: Identity) -> requests.Response:
        """Request one token, with retries; a refusal is returned as it came.

        Raises:
            Unavailable: no answer within the budget.
        """
        try:
            return self._session.post(
                self.origin + _TOKEN_PATH,
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(identity.client_id, identity.client_secret),
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except Unanswered as error:
            raise Unavailable(
                f"the workspace at {urlsplit(self.origin).netloc} gave no access token",
                expected=f"an answer from {self.origin}{_TOKEN_PATH} "
                f"within {self._policy.seconds:.0f} s",
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
        self._endpoint, self._secret_id, self._region = endpoint, secret_id, region
        self.identity = read_identity(secret_id, region)

    def header(self) -> dict[str, str]:
        """Return the Authorization header with a token that is valid now."""
        return {"Authorization": f"Bearer {self.token().access_token}"}

    def refresh(self) -> Token:
        answer = self._endpoint.request_token(self.identity)
        if answer.status_code == requests.codes.unauthorized:
            rotated = read_identity(self._secret_id, self._region)
            if rotated != self.identity:
                self.identity = rotated
                answer = self._endpoint.request_token(rotated)
        return self._parse(answer)

    def _parse(self, answer: requests.Response) -> Token:
        origin = self._endpoint.origin
        if answer.status_code != requests.codes.ok:
            raise IdentityRefused(
                f"{origin} refused the service principal {self.identity.client_id}",
                expected="an access token",
                got=f"HTTP {answer.status_code} {_oauth_error(answer)}",
                do=f"check that the secret {self._secret_id} holds a valid OAuth secret "
                "of this principal",
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
