"""CloudFormation in ministack: loaded at its first request, with our EMR Serverless application and
with the object lock, encryption and tags of a bucket, which ministack's S3 has and its
CloudFormation lacks.

    load_late(emr, groups)        # once, before the server starts

Like `plugin` this module changes ministack's tables, because ministack has no public way to do so.
"""

from collections.abc import Callable
from typing import Any

import ministack.app as app
from ministack.core import persistence

from pipeline.local.aws import resource_types
from pipeline.local.aws.account import Caller
from pipeline.local.aws.emr_serverless.job_runs import EmrServerless
from pipeline.local.aws.model_packages import groups as model_packages
from pipeline.local.aws.model_packages.groups import Groups
from pipeline.local.aws.store import Document

# types that have tags, which ministack does not give a stack's own
_TAGGED = ("AWS::EMRServerless::Application", "AWS::S3::Bucket", model_packages.TYPE)
Answer = tuple[int, dict[str, str], bytes]


def load_late(emr: EmrServerless, groups: Groups) -> None:
    """Load CloudFormation at its first request: its module imports every other service, which takes
    two seconds.
    """
    handle, key = app.SERVICE_HANDLERS["cloudformation"], "cloudformation"
    module = app._state_map.pop(key)  # nothing to save before it is loaded

    async def handle_request(*request: Any) -> Answer:
        if key not in app._state_map:
            from ministack.services.cloudformation import provisioners

            handlers = provisioners._RESOURCE_HANDLERS
            handlers |= resource_types.handlers()
            handlers["AWS::EMRServerless::Application"] = _application_provisioner(emr)
            handlers[model_packages.TYPE] = model_packages.provisioner(groups)
            provisioners._STACK_TAG_PROPERTY |= dict.fromkeys(_TAGGED, ("Tags", "list"))
            handlers["AWS::S3::Bucket"] = _with_object_lock(handlers["AWS::S3::Bucket"])
            if state := persistence.load_state(key):
                app._get_module(module).load_persisted_state(state)
            app._state_map[key] = module
        answer: Answer = await handle(*request)
        return answer

    app.SERVICE_HANDLERS[key] = handle_request


def _application_provisioner(emr: EmrServerless) -> dict[str, Callable[..., Any]]:
    """AWS::EMRServerless::Application for ministack's CloudFormation, through the same operations
    as the API.
    """
    owner = Caller("", "arn:aws:iam::cloudformation")

    def create(
        logical_id: str, properties: Document, stack_name: str
    ) -> tuple[str, dict[str, str]]:
        request = {
            key[0].lower() + key[1:]: value for key, value in properties.items() if key != "Tags"
        }
        request["tags"] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}
        request["clientToken"] = f"cloudformation-{stack_name}-{logical_id}"
        made = emr.applications.create(owner, _camel(request))
        return made["applicationId"], {"ApplicationId": made["applicationId"], "Arn": made["arn"]}

    def update(
        physical_id: str, old: Document, new: Document, stack_name: str
    ) -> tuple[str, dict[str, str]]:
        document = emr.applications.replace(
            physical_id, _camel({key: value for key, value in new.items() if key != "Tags"})
        )
        return physical_id, {"ApplicationId": physical_id, "Arn": document["arn"]}

    def delete(physical_id: str, properties: Document) -> None:
        emr.applications.delete(owner, {"applicationId": physical_id})

    return {"create": create, "update": update, "delete": delete}


def _with_object_lock(bucket: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """AWS::S3::Bucket of ministack's CloudFormation, with tags, encryption and object lock."""

    def create(
        logical_id: str, properties: Document, stack_name: str
    ) -> tuple[str, dict[str, str]]:
        name, attributes = bucket["create"](logical_id, properties, stack_name)
        _complete(name, properties)
        return name, attributes

    def update(
        physical_id: str, old: Document, new: Document, stack_name: str
    ) -> tuple[str, dict[str, str]]:
        name, attributes = bucket["update"](physical_id, old, new, stack_name)
        _complete(name, new)
        return name, attributes

    return bucket | {"create": create, "update": update}


def _complete(name: str, properties: Document) -> None:
    """Give a bucket what ministack's CloudFormation leaves out."""
    _lock(name, properties)
    _encrypt(name, properties)
    _tag(name, properties)


def _encrypt(name: str, properties: Document) -> None:
    """Set a bucket's encryption, which S3 answers as it was set.

    Raises:
        ValueError: S3 refuses the configuration; the stack fails with its text.
    """
    if not (found := properties.get("BucketEncryption")):
        return
    from ministack.services import s3

    (rule,) = found["ServerSideEncryptionConfiguration"]
    members = "".join(
        f"<{key}>{value}</{key}>" for key, value in rule["ServerSideEncryptionByDefault"].items()
    )
    for element in (
        *("ApplyServerSideEncryptionByDefault", "Rule"),
        "ServerSideEncryptionConfiguration",
    ):
        members = f"<{element}>{members}</{element}>"
    status, _, body = s3._put_bucket_encryption(name, members.encode())
    if status not in (200, 204):
        raise ValueError(f"encryption of {name}: {body.decode()}")


def _tag(name: str, properties: Document) -> None:
    """Give a bucket its tags."""
    from ministack.services import s3

    if tags := properties.get("Tags"):
        s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in tags}


def _lock(name: str, properties: Document) -> None:
    """Set a bucket's object lock.

    Raises:
        ValueError: S3 refuses the configuration; the stack fails with its text.
    """
    if not (found := properties.get("ObjectLockConfiguration")):
        return
    from ministack.services import s3

    retention = found["Rule"]["DefaultRetention"]
    members = "".join(f"<{key}>{value}</{key}>" for key, value in retention.items())
    status, _, body = s3._put_object_lock_configuration(
        name,
        (
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
            f"<Rule><DefaultRetention>{members}</DefaultRetention></Rule>"
            "</ObjectLockConfiguration>"
        ).encode(),
    )
    if status != 200:
        raise ValueError(f"object lock of {name}: {body.decode()}")


def _camel(value: Any) -> Any:
    """CloudFormation's PascalCase members as the API's camelCase; values and tag keys stay."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {
            key[:1].lower() + key[1:]: item if key in ("tags", "Properties") else _camel(item)
            for key, item in value.items()
        }
    return value
