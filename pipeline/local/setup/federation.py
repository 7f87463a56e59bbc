"""Principals that have no secret: each trusts its AWS role by a federation policy.

    ids = federation.principals(admin, root, jwks)     # application ids by principal
    token = federation.access_token(host, ids["scientist"], sts)    # for a person's shell

The account's administrator switches on tokens for others, and the Databricks account's one makes
the policies. In a real account the policies name the issuer only: Databricks finds its public keys
by its address, which this workspace cannot reach.
"""

from collections.abc import Mapping
from typing import Any

import requests
from databricks.sdk import WorkspaceClient

from pipeline.local.aws import infrastructure
from pipeline.local.setup.aws_account import Root
from pipeline.local.setup.workspace import secret_name, service_principals

AUDIENCE = "databricks"  # steps/governance/sign_in/role_token.py asks for it; a test compares both
_ENVIRONMENT = infrastructure.ENVIRONMENT
_ACCOUNT = "local"
_POLICY = "aws-role"
_SECONDS = 30


def principals(admin: WorkspaceClient, root: Root, jwks: str) -> dict[str, str]:
    """Return the application ids by name; make missing principals and policies, remove secrets.

    Args:
        admin: a workspace admin's client.
        root: the AWS account's administrator.
        jwks: the public keys of the issuer, as JSON.
    """
    issuer = _issuer(root.client("iam"))
    secrets = root.client("secretsmanager")
    ids = {}
    for name, (number, application_id) in service_principals(admin, _ENVIRONMENT).items():
        for secret in admin.service_principal_secrets_proxy.list(number):
            admin.service_principal_secrets_proxy.delete(number, str(secret.id))
        secrets.put_secret_value(SecretId=secret_name(_ENVIRONMENT, name), SecretString="{}")
        _trust(admin, number, _policy(name, issuer, jwks))
        ids[name] = application_id
    return ids


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


def _issuer(iam: Any) -> str:
    try:
        return str(iam.enable_outbound_web_identity_federation()["IssuerIdentifier"])
    except iam.exceptions.FeatureEnabledException:
        return str(iam.get_outbound_web_identity_federation_info()["IssuerIdentifier"])


def _policy(principal: str, issuer: str, jwks: str) -> dict[str, Any]:
    role = f"arn:aws:iam::{infrastructure.ACCOUNT_ID}:role/{infrastructure.PREFIX}-{principal}"
    return {"issuer": issuer, "subject": role, "audiences": [AUDIENCE], "jwks_json": jwks}


def _trust(admin: WorkspaceClient, number: str, policy: Mapping[str, Any]) -> None:
    """Give a principal this policy and no other."""
    path = f"/api/2.0/accounts/{_ACCOUNT}/servicePrincipals/{number}/federationPolicies"
    listed: Any = admin.api_client.do("GET", path)
    found = listed.get("policies", [])
    if [each["oidc_policy"] for each in found] == [policy]:
        return
    for each in found:
        admin.api_client.do("DELETE", f"{path}/{each['policy_id']}")
    admin.api_client.do(
        "POST", path, query={"policy_id": _POLICY}, body={"oidc_policy": dict(policy)}
    )
