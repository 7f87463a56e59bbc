"""Who this process is in Databricks: one service principal, by OAuth machine-to-machine, from one secret.

    workspace = connect(host="https://dbc-1.cloud.databricks.com", secret_id="…/databricks/prepare", region="eu-west-1")
    workspace.client.tables.get("edgar.raw.filings")

The client secret lives in this module's memory only. It is sent to `<host>/oidc/v1/token` and nowhere else: not to an
endpoint that a discovery document names, not across a redirect. The first token is fetched at once, so a wrong identity
fails before any work.

External calls: GetSecretValue is a read (botocore retries it). The token request has no side effect and is repeated as a
read (`governance.retrying`). A 401 is never repeated with the same secret: the secret is read once more, in case it was
just rotated.
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
from steps.governance.transport import TIMEOUT_SECONDS, Transport, workspace_client

_TOKEN_PATH = "/oidc/v1/token"  # noqa: S105 - a path, not a token


@dataclass(frozen=True)
class Identity:
    """A service principal's application id and its secret; the secret never shows in `repr`."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Workspace:
    """An authenticated workspace client, the name of the principal it acts for, and how its calls are repeated."""

    host: str
    principal: str
    client: WorkspaceClient
    policy: Policy = field(default_factory=Policy)


def connect(*, host: str, secret_id: str, region: str, policy: Policy | None = None) -> Workspace:
    """Prove who we are, and get a client that goes on proving it for as long as the job lasts.

    Each call is repeated as `policy` says, within its budget; an access token has `CONNECTING_SECONDS`.

    Raises:
        UsageError: the host is not a Databricks workspace.
        IdentityRefused: the secret is missing, unreadable or incomplete, or the workspace refused it.
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
    """Read a service principal from Secrets Manager, in the shape of AWS's managed `DatabricksSPSecret`.

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
    """Where a workspace gives access tokens."""

    def __init__(self, origin: str, policy: Policy) -> None:
        self.origin, self._policy = origin, policy
        self._session = requests.Session()
        self._session.mount(f"{origin}/", Transport(policy))

    def ask(self, identity: Identity) -> requests.Response:
        """One token, asked for again while no answer comes; a refusal is returned.

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
                expected=f"an answer from {self.origin}{_TOKEN_PATH} within {self._policy.seconds:.0f} s",
                got=str(error),
                do="check the host, DNS and the network path from this job to the workspace, then run again",
            ).asking(error.retry_after_seconds) from None


class _SecretTokens(Refreshable):
    """Access tokens for the principal in one secret, renewed before they expire and across a rotation of the secret."""

    def __init__(self, endpoint: _TokenEndpoint, secret_id: str, region: str) -> None:
        super().__init__(disable_async=False)
        self._endpoint, self._secret_id, self._region = endpoint, secret_id, region
        self.identity = read_identity(secret_id, region)

    def header(self) -> dict[str, str]:
        """The header that proves who we are, valid now."""
        return {"Authorization": f"Bearer {self.token().access_token}"}

    def refresh(self) -> Token:
        answer = self._endpoint.ask(self.identity)
        if answer.status_code == requests.codes.unauthorized:
            rotated = read_identity(self._secret_id, self._region)
            if rotated != self.identity:
                self.identity = rotated
                answer = self._endpoint.ask(rotated)
        return self._parse(answer)

    def _parse(self, answer: requests.Response) -> Token:
        origin = self._endpoint.origin
        if answer.status_code != requests.codes.ok:
            raise IdentityRefused(
                f"{origin} refused the service principal {self.identity.client_id}",
                expected="an access token",
                got=f"HTTP {answer.status_code} {_oauth_error(answer)}",
                do=f"check that the secret {self._secret_id} holds a valid OAuth secret of this principal",
            )
        try:
            document = answer.json()
            token, lasts = document["access_token"], timedelta(seconds=int(document["expires_in"]))
            expiry = datetime.now() + lasts  # noqa: DTZ005 - as the SDK compares it
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            token = None
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise IdentityRefused(
                f"{origin} answered with something that is no access token",
                expected="JSON with access_token and expires_in",
                got="HTTP 200 with other content (not shown)",
                do="check that the host is the workspace itself, not a proxy or a login page",
            )
        return Token(access_token=token, token_type="Bearer", expiry=expiry)  # noqa: S106 - a scheme


def _oauth_error(answer: requests.Response) -> str:
    """The OAuth error code alone: a description could echo what was sent."""
    try:
        return str(answer.json()["error"])[:60]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
