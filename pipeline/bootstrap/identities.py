"""The principals, and how each proves who it is: a stored secret, or its AWS role.

    yield from identities.principals(admin, "dev")
    yield from identities.secrets(admin, client("secretsmanager"), "dev", account="…")

A secret goes from the workspace's answer into Secrets Manager, and nowhere else. If a crash comes
between the two, the next run makes another; the workspace refuses a sixth.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient

from pipeline import command
from pipeline.bootstrap.change import Change, Changes
from pipeline.rights import PRINCIPALS, secret_name

AUDIENCE = "databricks"  # steps/governance/sign_in/role_token.py asks for it; a test compares both
_POLICY = "aws-role"


def name_of(environment: str, principal: str) -> str:
    """Return the name of a service principal."""
    return f"governed-finetune-{environment}-{principal}"


def existing(admin: WorkspaceClient, environment: str) -> dict[str, tuple[str, str]]:
    """Return the number and the application id of each principal that exists."""
    known = {str(found.display_name): found for found in admin.service_principals.list()}
    return {
        principal: (str(known[name].id), str(known[name].application_id))
        for principal in PRINCIPALS
        if (name := name_of(environment, principal)) in known
    }


def principals(admin: WorkspaceClient, environment: str) -> Changes:
    """Yield the service principals that do not exist."""
    known = existing(admin, environment)
    for principal in PRINCIPALS:
        if principal not in known:
            name = name_of(environment, principal)
            make = partial(admin.service_principals.create, display_name=name, active=True)
            yield Change("+", f"service principal {name}", make)


def secrets(admin: WorkspaceClient, store: Any, environment: str, *, account: str) -> Changes:
    """Yield each principal whose secret in AWS does not hold its identity.

    Args:
        admin: a client that may make secrets of principals.
        store: the client of Secrets Manager.
        environment: names both.
        account: the Databricks account's id, which AWS's managed rotation reads.
    """
    known = existing(admin, environment)
    for principal in PRINCIPALS:
        name = secret_name(environment, principal)
        number, application_id = known.get(principal, ("", ""))
        if not number or not _has_identity(store, name, application_id):
            make = partial(_store_secret, admin, store, name, (account, number, application_id))
            yield Change("+", f"OAuth secret of {principal}, in {name}", make)


def _store_secret(
    admin: WorkspaceClient, store: Any, name: str, identity: tuple[str, str, str]
) -> None:
    account, number, application_id = identity
    made = admin.service_principal_secrets_proxy.create(number)
    document = {
        "accountId": account,
        "servicePrincipalId": number,
        "clientId": application_id,
        "clientSecret": made.secret,
        "oauthSecretId": made.id,
    }
    text = json.dumps(document)
    try:
        store.put_secret_value(SecretId=name, SecretString=text)
    except store.exceptions.ResourceNotFoundException:
        store.create_secret(Name=name, SecretString=text)


def _has_identity(store: Any, name: str, application_id: str) -> bool:
    try:
        found = store.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
    except store.exceptions.ResourceNotFoundException:
        return False
    try:
        return bool(json.loads(found.get("SecretString", ""))["clientId"] == application_id)
    except (ValueError, KeyError, TypeError):
        return False  # a placeholder that the infrastructure made


def issuer(iam: Any, learn: Callable[[str], None]) -> Changes:
    """Yield the switch that lets AWS state a role to others, unless it is on.

    Args:
        iam: the client of IAM.
        learn: takes the issuer.
    """
    try:
        learn(str(iam.get_outbound_web_identity_federation_info()["IssuerIdentifier"]))
    except iam.exceptions.FeatureDisabledException:

        def make() -> None:
            learn(str(iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]))

        yield Change("~", "outbound web identity federation of the account: enabled", make)


def federation(
    admin: WorkspaceClient, api: Any, environment: str, policies: Mapping[str, Mapping[str, Any]]
) -> Changes:
    """Yield each principal that has another policy than its own; its secrets stay.

    Args:
        admin: a workspace admin's client.
        api: `do` of the Databricks account's API, and `path` of a principal's policies by number.
        environment: names the principals.
        policies: the policy of each principal by name.
    """
    known = existing(admin, environment)
    for principal, policy in policies.items():
        number = known.get(principal, ("", ""))[0]
        if not number or [each["oidc_policy"] for each in _policies(api, number)] != [policy]:
            detail = f"{policy['subject']} by {policy['issuer']}"
            make = partial(_trust, api, number, policy)
            yield Change("+", f"federation policy of {principal}", make, (detail,))


def removed(admin: WorkspaceClient, store: Any, environment: str) -> Changes:
    """Yield every secret of the principals, in the workspace and in AWS.

    Who uses one, such as a running job or a worker with the settings of before, fails from then on.
    """
    for principal, (number, _) in existing(admin, environment).items():
        for secret in admin.service_principal_secrets_proxy.list(number):
            make = partial(admin.service_principal_secrets_proxy.delete, number, str(secret.id))
            yield Change("-", f"OAuth secret {secret.id} of {principal}", make)
    yield from emptied(store, environment)


def left(admin: WorkspaceClient, store: Any, environment: str) -> Changes:
    """Yield, for a person, what `removed` would remove."""
    if found := [each.what for each in removed(admin, store, environment)]:
        again = command.line("pipeline.bootstrap", environment, "--remove-secrets")
        do = f"when conf's client_ids are deployed and no earlier execution runs: {again}"
        yield Change("!", "secrets that `federated` does not read", None, (*found, do))


def _policies(api: Any, number: str) -> list[dict[str, Any]]:
    answer: Any = api.do("GET", api.path(number))
    found: list[dict[str, Any]] = answer.get("policies", [])
    return found


def _trust(api: Any, number: str, policy: Mapping[str, Any]) -> None:
    """Give a principal this policy and no other."""
    for each in _policies(api, number):
        api.do("DELETE", f"{api.path(number)}/{each['policy_id']}")
    api.do("POST", api.path(number), query={"policy_id": _POLICY}, body={"oidc_policy": {**policy}})


def emptied(store: Any, environment: str) -> Changes:
    """Yield each secret in AWS that holds an identity, which `federated` does not read."""
    for principal in PRINCIPALS:
        name = secret_name(environment, principal)
        try:
            found = store.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        except store.exceptions.ResourceNotFoundException:
            continue
        if found.get("SecretString", "{}") != "{}":
            make = partial(store.put_secret_value, SecretId=name, SecretString="{}")
            yield Change("~", f"secret {name}: emptied", make)
