"""Who takes part in a rotation: Secrets Manager, the workspace's administrator, and the new secret.

    rotation = between(host="https://dbc-1.cloud.databricks.com", region="eu-west-1", admin="…")

The administrator is the identity in the secret `admin`, or without it the one of the Databricks
SDK's variables. No secret is in an argument, and the new one is sent to the workspace's token
endpoint only (`unity_catalog.identity`).
"""

import boto3
from botocore.config import Config
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.oauth2 import ServicePrincipalSecretsProxyAPI

from steps.governance.errors import UsageError
from steps.governance.rotation.four_steps import Document, Rotation
from steps.governance.sign_in.identities import Identity
from steps.governance.unity_catalog.identity import checked_host, connect, signed_in

_CONFIG = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard"})


def between(*, host: str, region: str, admin: str | None = None) -> Rotation:
    """Return a rotation of secrets in this account and workspace.

    Raises:
        UsageError: the host is not a Databricks workspace, or no administrator is given.
        IdentityRefused: the workspace refused the administrator.
        Unavailable: the workspace did not answer.
    """
    origin = checked_host(host)

    def tried(document: Document) -> None:
        identity = Identity(document["clientId"], document["clientSecret"])
        signed_in(origin, identity).client.current_user.me()

    store = boto3.client("secretsmanager", region_name=region, config=_CONFIG)
    return Rotation(store, _secrets_of_principals(origin, region, admin), tried)


def _secrets_of_principals(
    origin: str, region: str, admin: str | None
) -> ServicePrincipalSecretsProxyAPI:
    if admin is not None:
        identity = connect(host=origin, secret_id=admin, region=region)
        return identity.client.api(ServicePrincipalSecretsProxyAPI)
    try:
        return WorkspaceClient(host=origin).service_principal_secrets_proxy
    except ValueError as error:
        raise UsageError(
            "no administrator of the workspace is given",
            expected="a secret with the identity of one, or the Databricks SDK's variables",
            got=str(error).partition("\n")[0][:200],
            do="sign in as an administrator of the workspace",
        ) from None
