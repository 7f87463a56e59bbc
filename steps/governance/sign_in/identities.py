"""How a process proves that it is a service principal: by a stored secret, or by its AWS role.

    identity = named("…/databricks/prepare", "eu-west-1")     # a secret of Secrets Manager
    identity = named("federated:0a1b…", "eu-west-1")          # nothing is stored

The secret has AWS's format `DatabricksSPSecret`. GetSecretValue is a read. It is sent once here;
the caller repeats what raises `Unavailable`.
"""

import json
from dataclasses import dataclass, field
from typing import ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from steps.governance import aws
from steps.governance.errors import IdentityRefused, Unavailable
from steps.governance.sign_in import role_token

# The request was never sent, and no repetition helps. A role's credentials that cannot be fetched
# right now are a CredentialRetrievalError, which passes.
_NEVER_SENT = (NoCredentialsError, PartialCredentialsError)
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)


FEDERATED = "federated:"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_SCOPE = {"scope": "all-apis"}


@dataclass(frozen=True)
class TokenRequest:
    """What the workspace's token endpoint is sent; `repr` omits it."""

    form: dict[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Identity:
    """A service principal's application id and its secret, which `repr` omits."""

    client_id: str
    client_secret: str = field(repr=False)
    refusals: ClassVar = (401,)  # statuses after which the secret may be another one

    def token_request(self) -> TokenRequest:
        """Return the request of RFC 6749's client credentials."""
        form = {"grant_type": "client_credentials"} | _SCOPE
        return TokenRequest(form, (self.client_id, self.client_secret))

    @property
    def remedy(self) -> str:
        """What to do if the workspace refuses it."""
        return "check that the secret holds a valid OAuth secret of this principal"


@dataclass(frozen=True)
class FederatedIdentity:
    """A service principal whose federation policy names this process's AWS role."""

    client_id: str
    region: str
    refusals: ClassVar = (400, 401)  # RFC 8693: invalid_request or invalid_grant is a 400

    def token_request(self) -> TokenRequest:
        """Return the request of RFC 8693's exchange, with a new token of this process's role.

        Raises:
            IdentityRefused: AWS states no identity to others.
            Unavailable: STS did not answer.
        """
        exchanged = {"subject_token": role_token.token(self.region), "subject_token_type": _JWT}
        form = {"grant_type": _EXCHANGE, "client_id": self.client_id}
        return TokenRequest(form | exchanged | _SCOPE)

    @property
    def remedy(self) -> str:
        """What to do if the workspace refuses it."""
        return (
            "give this principal a federation policy with the account's issuer, this step's role "
            f"as subject and the audience {role_token.AUDIENCE}"
        )


def named(name: str, region: str) -> Identity | FederatedIdentity:
    """Return the identity that a step's argument names.

    Raises:
        IdentityRefused: as `read_identity`.
        Unavailable: as `read_identity`.
    """
    if name.startswith(FEDERATED):
        return FederatedIdentity(name.removeprefix(FEDERATED), region)
    return read_identity(name, region)


def read_identity(secret_id: str, region: str) -> Identity:
    """Read a service principal from Secrets Manager, in AWS's format `DatabricksSPSecret`.

    Raises:
        IdentityRefused: missing, not readable by this role, or without clientId and clientSecret.
        Unavailable: Secrets Manager did not answer.
    """
    secrets = boto3.client("secretsmanager", region_name=region, config=_CONFIG)
    try:
        answer = secrets.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")
    except ClientError as error:
        if aws.is_passing(error):
            raise _secret_unanswered(secret_id, aws.shown(error)) from None
        raise _secret_refused(secret_id, aws.shown(error)) from None
    except _NEVER_SENT as error:
        raise IdentityRefused(
            f"the secret {secret_id} could not be read: this process has no AWS credentials",
            expected="credentials of the step's role",
            got=type(error).__name__,
            do="run it with the role of the step, or set the credentials of this shell",
        ) from None
    except (BotoCoreError, ResponseParserError, ValueError) as error:  # ValueError: no UTF-8
        raise _secret_unanswered(secret_id, type(error).__name__) from None
    return _parse_identity(secret_id, answer.get("SecretString", ""))


def _secret_unanswered(secret_id: str, got: str) -> Unavailable:
    return Unavailable(f"Secrets Manager did not answer for {secret_id}", got=got)


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
