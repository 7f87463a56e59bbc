"""A Databricks service principal's secret in Secrets Manager, in AWS's format `DatabricksSPSecret`.

    identity = read_identity("…/databricks/prepare", "eu-west-1")

GetSecretValue is a read. It is sent once here; the caller repeats what raises `Unavailable`.
"""

import json
from dataclasses import dataclass, field

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
from steps.governance.aws_answers import checked, named
from steps.governance.errors import IdentityRefused, Unavailable

# The request was never sent, and no repetition helps. A role's credentials that cannot be fetched
# right now are a CredentialRetrievalError, which passes.
_NEVER_SENT = (NoCredentialsError, PartialCredentialsError)
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)


@dataclass(frozen=True)
class Identity:
    """A service principal's application id and its secret, which `repr` omits."""

    client_id: str
    client_secret: str = field(repr=False)


def read_identity(secret_id: str, region: str) -> Identity:
    """Read a service principal from Secrets Manager, in AWS's format `DatabricksSPSecret`.

    Raises:
        IdentityRefused: missing, not readable by this role, or without clientId and clientSecret.
        Unavailable: Secrets Manager did not answer.
    """
    secrets = checked(boto3.client("secretsmanager", region_name=region, config=_CONFIG))
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
        raise _secret_unanswered(secret_id, named(error)) from None
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
