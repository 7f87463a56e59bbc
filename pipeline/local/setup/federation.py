"""Principals that have no secret: each trusts its AWS role by a federation policy.

    ids = federation.principals(admin, root, jwks)     # application ids by principal
    token = federation.access_token(host, ids["scientist"], sts)    # for a person's shell

The account's administrator switches on tokens for others, and the Databricks account's one makes
the policies. In a real account the policies name the issuer only: Databricks finds its public keys
by its address, which this workspace cannot reach.
"""

from typing import Any

import requests
from databricks.sdk import WorkspaceClient

from pipeline.bootstrap import identities
from pipeline.bootstrap.change import Changes
from pipeline.bootstrap.identities import AUDIENCE
from pipeline.local.aws import infrastructure
from pipeline.local.setup.aws_account import Root
from pipeline.local.setup.workspace import ACCOUNT, make
from pipeline.rights import PRINCIPALS

_ENVIRONMENT = infrastructure.ENVIRONMENT
_SECONDS = 30


def principals(admin: WorkspaceClient, root: Root, jwks: str) -> dict[str, str]:
    """Return the application ids by name; make missing principals and policies, remove secrets.

    Args:
        admin: a workspace admin's client.
        root: the AWS account's administrator.
        jwks: the public keys of the issuer, as JSON.
    """
    make(identities.principals(admin, _ENVIRONMENT))
    make(changes(admin, root, jwks))
    return {name: ids[1] for name, ids in identities.existing(admin, _ENVIRONMENT).items()}


def changes(admin: WorkspaceClient, root: Root, jwks: str) -> Changes:
    """Yield what the principals, which exist, lack to sign in without a secret."""
    known: list[str] = []
    yield from identities.issuer(root.client("iam"), known.append)
    policies = {name: _policy(name, known[0] if known else "", jwks) for name in PRINCIPALS}
    yield from identities.federation(admin, _Account(admin), _ENVIRONMENT, policies)
    # Nothing here uses one: an environment's identity is chosen at its first start.
    yield from identities.removed(admin, root.client("secretsmanager"), _ENVIRONMENT)


class _Account:
    """The Databricks account's API, which this workspace serves too."""

    def __init__(self, admin: WorkspaceClient) -> None:
        self.do = admin.api_client.do

    def path(self, number: str) -> str:
        return f"/api/2.0/accounts/{ACCOUNT}/servicePrincipals/{number}/federationPolicies"


def access_token(host: str, client_id: str, sts: Any) -> str:
    """Return a workspace's access token for the role of an STS client.

    It serves people's shells, where the SDK's own login does not know this way.
    """
    identity = sts.get_web_identity_token(
        Audience=[AUDIENCE], SigningAlgorithm="ES384", DurationSeconds=300
    )
    answer = requests.post(
        f"{host}/oidc/v1/token",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": identity["WebIdentityToken"],
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "client_id": client_id,
            "scope": "all-apis",
        },
        timeout=_SECONDS,
        allow_redirects=False,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _policy(principal: str, issuer: str, jwks: str) -> dict[str, Any]:
    role = f"arn:aws:iam::{infrastructure.ACCOUNT_ID}:role/{infrastructure.PREFIX}-{principal}"
    return {"issuer": issuer, "subject": role, "audiences": [AUDIENCE], "jwks_json": jwks}
