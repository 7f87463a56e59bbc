"""Fill an empty workspace as an administrator would: principals, secrets, storage, catalog, grants,
the raw table.

All calls use the Databricks SDK and boto3, so the same steps work in a real account. Objects that
exist are not created again: seeding twice changes nothing, and other filings become a new version
of the raw table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import AwsIamRoleRequest
from databricks.sdk.service.iam import ComplexValue

from pipeline.configuration.config import Config
from pipeline.local.setup import raw_table
from pipeline.local.setup.filings import Filings
from pipeline.local.setup.grants import CATALOG, GRANTS, PRINCIPALS, SCHEMAS, Grant

_STORAGE_CREDENTIAL = "governed"
_LOCATIONS = ("raw", "curated")


@dataclass(frozen=True)
class Seeded:
    """The result of seeding: application ids by principal, and the raw table's version."""

    application_ids: dict[str, str]
    raw_version: int


def seed(
    admin: WorkspaceClient,
    config: Config,
    *,
    filings: Filings,
    aws: Mapping[str, str],
) -> Seeded:
    """Create what does not exist yet, and load the filings that a user gave, or the default ones
    into an empty table.

    Args:
        admin: a metastore admin's client.
        config: has the account, the buckets and the principals' application ids.
        filings: the raw table's rows, and whether a user gave them.
        aws: AWS_REGION and AWS_ENDPOINT_URL, the endpoint of S3.
    """
    application_ids = {str(name): each for name, each in config.databricks.client_ids.items()}
    _approvers(admin, config)
    _storage(admin, config)
    _catalog(admin)
    me = admin.current_user.me().user_name
    assert me is not None  # noqa: S101 - SCIM always names the caller
    _grant(admin, Grant(me, "schema", f"{CATALOG}.raw", ("EXTERNAL_USE_SCHEMA",)), me)
    _grant(admin, Grant(me, "external_location", "raw", ("EXTERNAL_USE_LOCATION",)), me)
    for grant in GRANTS:
        _grant(admin, grant, application_ids[grant.principal])
    version = raw_table.load(
        admin, f"s3://{config.storage.governed_bucket}/raw/filings", filings, aws=aws
    )
    return Seeded(application_ids, version)


def secret_name(environment: str, principal: str) -> str:
    """Return the name of the secret with a principal's Databricks identity."""
    return f"governed-finetune-{environment}/databricks/{principal}"


def principals(admin: WorkspaceClient, secrets: Any, environment: str) -> dict[str, str]:
    """Return the service principals' application ids by name; create missing principals and
    secrets.
    """
    application_ids: dict[str, str] = {}
    for principal, (number, application_id) in service_principals(admin, environment).items():
        application_ids[principal] = application_id
        if not _has_identity(secrets, secret_name(environment, principal), application_id):
            made = admin.service_principal_secrets_proxy.create(number)
            document = {
                "accountId": "local",
                "servicePrincipalId": number,
                "clientId": application_id,
                "clientSecret": made.secret,
                "oauthSecretId": made.id,
            }
            _put_secret(secrets, secret_name(environment, principal), document)
    return application_ids


def service_principals(admin: WorkspaceClient, environment: str) -> dict[str, tuple[str, str]]:
    """Return each principal's number and application id by name; create missing principals."""
    known = {found.display_name: found for found in admin.service_principals.list()}
    made = {}
    for principal in PRINCIPALS:
        name = f"governed-finetune-{environment}-{principal}"
        found = known.get(name) or admin.service_principals.create(display_name=name, active=True)
        assert found.id is not None  # noqa: S101 - the service gives every principal both ids
        assert found.application_id is not None  # noqa: S101
        made[principal] = (found.id, found.application_id)
    return made


def _approvers(admin: WorkspaceClient, config: Config) -> None:
    """Make the approvers' group with the principal `approver` as its first member."""
    name = config.evidence.approvers_group
    if any(admin.groups.list(filter=f'displayName eq "{name}"')):
        return
    wanted = f"governed-finetune-{config.environment}-approver"
    (found,) = admin.service_principals.list(filter=f'displayName eq "{wanted}"')
    admin.groups.create(display_name=name, members=[ComplexValue(value=found.id)])


def _has_identity(secrets: Any, name: str, application_id: str) -> bool:
    try:
        text = secrets.get_secret_value(SecretId=name, VersionStage="AWSCURRENT").get(
            "SecretString", ""
        )
    except secrets.exceptions.ResourceNotFoundException:
        return False
    try:
        return bool(json.loads(text)["clientId"] == application_id)
    except (ValueError, KeyError, TypeError):
        return False  # a placeholder that the infrastructure made


def _put_secret(secrets: Any, name: str, document: Mapping[str, Any]) -> None:
    text = json.dumps(document)
    try:
        secrets.put_secret_value(SecretId=name, SecretString=text)
    except secrets.exceptions.ResourceNotFoundException:
        secrets.create_secret(Name=name, SecretString=text)


def _storage(admin: WorkspaceClient, config: Config) -> None:
    if _absent(lambda: admin.storage_credentials.get(_STORAGE_CREDENTIAL)):
        role = f"governed-finetune-{config.environment}-uc-storage"
        role_arn = f"arn:aws:iam::{config.aws.account_id}:role/{role}"
        admin.storage_credentials.create(
            _STORAGE_CREDENTIAL, aws_iam_role=AwsIamRoleRequest(role_arn=role_arn)
        )
    for name in _LOCATIONS:
        if _absent(lambda name=name: admin.external_locations.get(name)):
            url = f"s3://{config.storage.governed_bucket}/{name}"
            admin.external_locations.create(name, url, _STORAGE_CREDENTIAL)


def _catalog(admin: WorkspaceClient) -> None:
    if _absent(lambda: admin.catalogs.get(CATALOG)):
        admin.catalogs.create(
            CATALOG, comment="SEC filings, what is made of them, and the models trained on that"
        )
    for schema in SCHEMAS:
        if _absent(lambda schema=schema: admin.schemas.get(f"{CATALOG}.{schema}")):
            admin.schemas.create(schema, CATALOG)


def _absent(get: Any) -> bool:
    try:
        get()
    except NotFound:
        return True
    return False


def _grant(admin: WorkspaceClient, grant: Grant, principal: str) -> None:
    """Grant by REST: the SDK's enumeration of privileges lacks CREATE_MODEL_VERSION and
    CREATE_EXTERNAL_METADATA.
    """
    name = grant.name
    if grant.kind == "metastore":
        name = str(admin.metastores.summary().metastore_id)
    admin.api_client.do(
        "PATCH",
        f"/api/2.1/unity-catalog/permissions/{grant.kind}/{name}",
        body={"changes": [{"principal": principal, "add": list(grant.privileges)}]},
    )
