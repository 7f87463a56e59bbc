"""Who this process is in Databricks: one service principal, by OAuth machine-to-machine, from one secret.

    workspace = connect(host="https://dbc-1.cloud.databricks.com", secret_id="…/databricks/prepare", region="eu-west-1")
    workspace.client.tables.get("edgar.raw.filings")

The client secret lives in this module's memory only. It is sent to `<host>/oidc/v1/token` and nowhere else: not to an
endpoint that a discovery document names, not across a redirect. The first token is fetched at once, so a wrong identity
fails before any work.

External calls: GetSecretValue is a read (botocore retries it). The token request has no side effect: time-outs, 429 and
5xx are tried three times. A 401 is never repeated with the same secret: the secret is read once more, in case it was
just rotated.
"""

import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import boto3
import requests
from botocore.exceptions import BotoCoreError, ClientError
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import CredentialsProvider, CredentialsStrategy
from databricks.sdk.oauth import Refreshable, Token

from steps.governance.errors import IdentityRefused, Unavailable
from steps.governance.hosts import checked_host as checked_host
from steps.governance.logs import hold_back_secrets

_TOKEN_PATH = "/oidc/v1/token"  # noqa: S105 - a path, not a token
_TIMEOUT_SECONDS = (5.0, 30.0)  # connect, read
_ATTEMPTS = 3
_RETRY_BUDGET_SECONDS = 60  # databricks-sdk's own default is 300 for every call, too long to fail in
_PRODUCT = ("governed-finetune", "0.1.0")


@dataclass(frozen=True)
class Identity:
    """A service principal's application id and its secret; the secret never shows in `repr`."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Workspace:
    """An authenticated workspace client and the name of the principal it acts for."""

    host: str
    principal: str
    client: WorkspaceClient


def connect(*, host: str, secret_id: str, region: str) -> Workspace:
    """Prove who we are, and get a client that goes on proving it for as long as the job lasts.

    Raises:
        UsageError: the host is not a Databricks workspace.
        IdentityRefused: the secret is missing, unreadable or incomplete, or the workspace refused it.
        Unavailable: the workspace did not answer.
    """
    hold_back_secrets()
    origin = checked_host(host)
    tokens = _SecretTokens(origin, secret_id, region)
    tokens.token()
    config = Config(
        host=origin,
        auth_type="oauth-m2m",  # pinned: a DATABRICKS_TOKEN in the environment must not win, nor raise
        credentials_strategy=_Strategy(tokens),
        retry_timeout_seconds=_RETRY_BUDGET_SECONDS,
        product=_PRODUCT[0],
        product_version=_PRODUCT[1],
    )
    return Workspace(origin, tokens.identity.client_id, WorkspaceClient(config=config))


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
        raise Unavailable(f"Secrets Manager did not answer for {secret_id}", got=type(error).__name__) from None
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
    if not (isinstance(client_id, str) and client_id and isinstance(client_secret, str) and client_secret):
        raise IdentityRefused(
            f"the secret {secret_id} holds no Databricks service principal",
            expected="JSON with the fields clientId and clientSecret (AWS's DatabricksSPSecret)",
            got="other content (not shown)",
            do="write the secret again",
        )
    return Identity(client_id, client_secret)


class _SecretTokens(Refreshable):
    """Access tokens for the principal in one secret, renewed before they expire and across a rotation of the secret."""

    def __init__(self, origin: str, secret_id: str, region: str) -> None:
        super().__init__(disable_async=False)
        self._origin, self._secret_id, self._region = origin, secret_id, region
        self.identity = read_identity(secret_id, region)

    def refresh(self) -> Token:
        answer = _request_token(self._origin, self.identity)
        if answer.status_code == requests.codes.unauthorized:
            rotated = read_identity(self._secret_id, self._region)
            if rotated != self.identity:
                self.identity = rotated
                answer = _request_token(self._origin, rotated)
        return self._parse(answer)

    def _parse(self, answer: requests.Response) -> Token:
        if answer.status_code != requests.codes.ok:
            raise IdentityRefused(
                f"{self._origin} refused the service principal {self.identity.client_id}",
                expected="an access token",
                got=f"HTTP {answer.status_code} {_oauth_error(answer)}",
                do=f"check that the secret {self._secret_id} holds a valid OAuth secret of this principal",
            )
        try:
            document = answer.json()
            lasts, token = timedelta(seconds=int(document["expires_in"])), str(document["access_token"])
        except (ValueError, KeyError, TypeError):
            raise IdentityRefused(
                f"{self._origin} answered with something that is no access token",
                expected="JSON with access_token and expires_in",
                got="HTTP 200 with other content (not shown)",
                do="check that the host is the workspace itself, not a proxy or a login page",
            ) from None
        expiry = datetime.now() + lasts  # noqa: DTZ005 - as the SDK compares it
        return Token(access_token=token, token_type="Bearer", expiry=expiry)  # noqa: S106 - a scheme


def _request_token(origin: str, identity: Identity) -> requests.Response:
    """One token request, repeated on time-outs, 429 and 5xx; a refusal comes back as it is."""
    failure = "no answer"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(2.0**attempt / 2)
        try:
            answer = requests.post(
                origin + _TOKEN_PATH,
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(identity.client_id, identity.client_secret),
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            failure = type(error).__name__
            continue
        if answer.status_code != requests.codes.too_many_requests and answer.status_code < 500:
            return answer
        failure = f"HTTP {answer.status_code}"
    raise Unavailable(
        f"the workspace at {urlsplit(origin).netloc} gave no access token",
        expected=f"an answer from {origin}{_TOKEN_PATH} within {_ATTEMPTS} attempts",
        got=failure,
        do="check the host, DNS and the network path from this job to the workspace, then run again",
    )


def _oauth_error(answer: requests.Response) -> str:
    """The OAuth error code alone: a description could echo what was sent."""
    try:
        return str(answer.json()["error"])[:60]
    except (ValueError, KeyError, TypeError):
        return ""


class _Strategy(CredentialsStrategy):
    def __init__(self, tokens: _SecretTokens) -> None:
        self._tokens = tokens

    def auth_type(self) -> str:
        return "oauth-m2m"

    def __call__(self, cfg: Config) -> CredentialsProvider:
        return lambda: {"Authorization": f"Bearer {self._tokens.token().access_token}"}
