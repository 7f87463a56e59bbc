"""The Databricks half: storage credential, locations, catalog, schemas, group, grants, experiment.

    for change in workspace.storage(admin, config): change.make()
    for change in workspace.grants(admin, config): ...

Each looks at what exists and yields what is missing, so a repetition changes nothing. Nothing is
taken away: `pipeline.doctor` and the audit name what is there beyond `pipeline.rights`. A lost
answer or a crash is repaired by the same command. The SDK repeats what answers 429 or 503.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.catalog import AwsIamRoleRequest
from databricks.sdk.service.iam import ComplexValue, Patch, PatchOp, PatchSchema
from databricks.sdk.service.ml import (
    ExperimentAccessControlRequest,
    ExperimentPermissionLevel,
    ExperimentTag,
)

from pipeline import rights
from pipeline.bootstrap import identities, ownership
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration.config import Config
from pipeline.doctor import workspace as found_in
from pipeline.rights import Grant

_API = "/api/2.1/unity-catalog"
CONTENTS = ("raw", "curated", "models")  # the prefixes of the governed bucket, a location each
_COMMENT = "SEC filings, what is made of them, and the models trained on that"
_PATCH = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
_LEVELS = {
    "train": ExperimentPermissionLevel.CAN_EDIT,
    "scientist": ExperimentPermissionLevel.CAN_READ,
}


def credential_name(config: Config) -> str:
    """Return the name of the storage credential; a metastore has those of all environments."""
    return f"governed_finetune_{config.environment.replace('-', '_')}"


def credential(admin: WorkspaceClient, config: Config, learn: Callable[[Any], None]) -> Changes:
    """Yield the storage credential. It is made before its role, whose trust needs its external id.

    Args:
        admin: a metastore admin's client.
        config: has the account.
        learn: takes the credential's role: `external_id` and `unity_catalog_iam_arn`.
    """
    name, region = credential_name(config), config.aws.region
    partition = "aws-us-gov" if region.startswith("us-gov-") else "aws"
    role = f"governed-finetune-{config.environment}-uc-storage"
    arn = f"arn:{partition}:iam::{config.aws.account_id}:role/{role}"
    if exists(lambda: admin.storage_credentials.get(name)):
        learn(admin.storage_credentials.get(name).aws_iam_role)
        return

    def make() -> None:
        made = admin.storage_credentials.create(
            name,
            aws_iam_role=AwsIamRoleRequest(role_arn=arn),
            comment=ownership.text(config.environment),
            skip_validation=True,
        )
        learn(made.aws_iam_role)

    yield Change("+", f"storage credential {name}", make, (arn,))


def storage(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield the external locations that do not exist."""
    for content in CONTENTS:
        name = rights.location(config.environment, content)
        if not exists(partial(admin.external_locations.get, name)):
            url = f"s3://{config.storage.governed_bucket}/{content}"
            mark = ownership.text(config.environment)
            create = partial(admin.external_locations.create, comment=mark)
            make = partial(create, name, url, credential_name(config))
            yield Change("+", f"external location {name}", make, (url,))


def catalogs(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield the catalogs and schemas that do not exist; what they manage is in the bucket."""
    where = rights.places(config)
    root = f"s3://{config.storage.governed_bucket}/models"
    mark = ownership.properties(config.environment)
    for catalog in where.catalogs:
        if not exists(partial(admin.catalogs.get, catalog)):
            create = partial(admin.catalogs.create, comment=_COMMENT, properties=mark)
            make = partial(create, catalog, storage_root=root)
            yield Change("+", f"catalog {catalog}", make)
    for schema in where.schemas:
        if not exists(partial(admin.schemas.get, schema)):
            catalog, _, name = schema.partition(".")
            make = partial(admin.schemas.create, name, catalog, properties=mark)
            yield Change("+", f"schema {schema}", make)


def group(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield the approvers' group, with the principal `approver` as its first member.

    A group that others made is theirs: who is in it, they decide.
    """
    name, mark = config.evidence.approvers_group, ownership.text(config.environment)
    number = identities.existing(admin, config.environment).get("approver", ("", ""))[0]
    detail = ("+ member: the principal approver",)
    for found in admin.groups.list(filter=f'displayName eq "{name}"'):
        whole = admin.groups.get(str(found.id))
        members = {each.value for each in whole.members or ()}
        if ownership.has(whole.external_id, config.environment) and number not in members:
            add = Patch(op=PatchOp.ADD, value={"members": [{"value": number}]})
            make = partial(admin.groups.patch, str(found.id), operations=[add], schemas=_PATCH)
            yield Change("~", f"group {name}", make, detail)
        return
    create = partial(admin.groups.create, members=[ComplexValue(value=number)])
    yield Change("+", f"group {name}", partial(create, display_name=name, external_id=mark), detail)


def grants(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield a change for each grant of `pipeline.rights` that lacks a privilege."""
    ids = found_in.principals(config, admin)
    held: dict[tuple[str, str], dict[str, set[str]]] = {}
    for grant in rights.needed(rights.places(config)):
        place = (grant.kind, grant.name)
        if place not in held:
            held[place] = _held(admin, *place)
        has = held[place].get(ids.get(grant.principal, ""), set())
        has = has | held[place].get(found_in.EVERYBODY, set())
        if missing := tuple(each for each in grant.privileges if each not in has):
            yield _granting(admin, grant, missing, ids.get(grant.principal))


def _granting(
    admin: WorkspaceClient, grant: Grant, missing: tuple[str, ...], application_id: str | None
) -> Change:
    on = " ".join([grant.kind, grant.name]).strip()
    return Change(
        "+",
        f"grant on {on} to {grant.principal}",
        partial(give, admin, grant, missing, str(application_id)),
        tuple(f"+ {privilege}" for privilege in missing),
    )


def give(admin: WorkspaceClient, grant: Grant, privileges: tuple[str, ...], principal: str) -> None:
    """Grant by REST: the SDK's enumeration of privileges lacks CREATE_MODEL_VERSION and
    CREATE_EXTERNAL_METADATA.
    """
    name = grant.name or str(admin.metastores.summary().metastore_id)
    admin.api_client.do(
        "PATCH",
        f"{_API}/permissions/{grant.kind}/{name}",
        body={"changes": [{"principal": principal, "add": list(privileges)}]},
    )


def own_grants(admin: WorkspaceClient, config: Config) -> Changes:
    """Yield what the caller itself lacks to write the raw table with vended credentials."""
    me = str(admin.current_user.me().user_name)
    you, location = "you, who load the raw table", rights.location(config.environment, "raw")
    for grant in (
        Grant(you, "schema", rights.places(config).raw, ("EXTERNAL_USE_SCHEMA",)),
        Grant(you, "external_location", location, ("EXTERNAL_USE_LOCATION",)),
    ):
        if not set(grant.privileges) <= _held(admin, grant.kind, grant.name).get(me, set()):
            yield _granting(admin, grant, grant.privileges, me)


def experiment(admin: WorkspaceClient, config: Config, *, looks: bool = True) -> Changes:
    """Yield the MLflow experiment, and who may write and read it.

    With `looks` false it is not looked for: a plan of an environment without a tracking server.
    """
    name = config.train.mlflow_experiment
    if name is None:
        return
    if not looks or experiment_id(admin, name) is None:
        mark = ownership.properties(config.environment).items()
        tags = [ExperimentTag(key=key, value=value) for key, value in mark]
        make = partial(admin.experiments.create_experiment, name, tags=tags)
        yield Change("+", f"experiment {name}", make)
    ids = found_in.principals(config, admin)
    held = _levels(admin, name) if looks else {}
    for principal, level in _LEVELS.items():
        if level.value not in held.get(ids.get(principal, ""), set()):
            yield Change(
                "+",
                f"experiment {name}: {level.value} to {principal}",
                partial(_permit, admin, name, str(ids.get(principal)), level),
            )


def _permit(
    admin: WorkspaceClient, name: str, principal: str, level: ExperimentPermissionLevel
) -> None:
    entry = ExperimentAccessControlRequest(service_principal_name=principal, permission_level=level)
    number = str(experiment_id(admin, name))
    admin.experiments.update_permissions(number, access_control_list=[entry])


def experiment_id(admin: WorkspaceClient, name: str) -> str | None:
    """Return an experiment's id, or None if it does not exist or was deleted."""
    try:
        found = admin.experiments.get_by_name(name).experiment
    except NotFound:
        return None
    return found.experiment_id if found and found.lifecycle_stage != "deleted" else None


def _levels(admin: WorkspaceClient, name: str) -> dict[str, set[str]]:
    """Return each principal's levels; the higher ones include CAN_EDIT and CAN_READ."""
    number = experiment_id(admin, name)
    if number is None:
        return {}
    entries = admin.experiments.get_permissions(number)
    held: dict[str, set[str]] = {}
    for entry in entries.access_control_list or ():
        names = {
            each.permission_level.value
            for each in entry.all_permissions or ()
            if each.permission_level
        }
        if names & {"CAN_EDIT", "CAN_MANAGE"}:
            names |= {"CAN_EDIT", "CAN_READ"}
        held.setdefault(str(entry.service_principal_name), set()).update(names)
    return held


def _held(admin: WorkspaceClient, kind: str, name: str) -> dict[str, set[str]]:
    """Return the privileges on a securable by principal; none if it does not exist yet."""
    try:
        return found_in.effective(admin, kind, name)
    except NotFound:
        return {}


def exists(get: Callable[[], Any]) -> bool:
    """Return whether a read finds its object."""
    try:
        get()
    except NotFound:
        return False
    return True
