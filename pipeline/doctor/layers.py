"""The account against `conf/infrastructure`: stacks, drift of templates, resources, policies.

A layer whose stack is missing is one check; what it would hold is not looked for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.configuration.config import Config
from pipeline.doctor import connections, resources, statements, template
from pipeline.doctor.check import UNKNOWN, Check
from pipeline.doctor.statements import Client

FOLDER = Path(__file__).parents[2] / "conf" / "infrastructure"
LAYERS = ("identity", "foundation", "network", "compute", "watch")
OPTIONAL = ("network",)  # an account may give its own subnets


def checked(config: Config, client: Client) -> Iterator[Check]:
    """Yield the checks of every layer, in the order of their deployment."""
    exports = _exports(client("cloudformation"))
    for layer in LAYERS:
        yield from _layer(config, client, layer, exports)


def _layer(config: Config, client: Client, layer: str, exports: dict[str, str]) -> Iterator[Check]:
    name = f"governed-finetune-{config.environment}-{layer}"
    file = FOLDER / f"{layer}.yaml"
    fix = (
        f"aws cloudformation deploy --template-file conf/infrastructure/{layer}.yaml "
        f"--stack-name {name} --capabilities CAPABILITY_NAMED_IAM --parameter-overrides "
        f"Environment={config.environment} …"
    )
    cloudformation = client("cloudformation")
    found = stack(cloudformation, name)
    if found is None:
        if layer not in OPTIONAL:
            yield Check.of(f"stack {name}", False, expected="deployed", found="none", fix=fix)
        return
    status = str(found["StackStatus"])
    yield Check.of(
        f"stack {name}",
        status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"),
        expected="CREATE_COMPLETE or UPDATE_COMPLETE",
        found=status,
        fix=fix,
    )
    body = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    yield Check.of(
        f"template of {name}",
        body == file.read_text(encoding="utf-8"),
        expected=f"conf/infrastructure/{layer}.yaml of this commit",
        found="another text",
        fix=fix,
    )
    read = template.read(file, _deployed(cloudformation, found, exports, config))
    yield from resources.existing(read, client, fix)
    try:
        yield from connections.checked(read, client, fix)
        yield from statements.compared(read, client)
    except template.Unresolved as error:
        yield Check(f"policies of {name}", UNKNOWN, "resolved references", str(error), fix)


def stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack as CloudFormation describes it, or None."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def first_failure(cloudformation: Any, name: str) -> str:
    """Return the first resource of a stack that failed, with the reason.

    A stack that is deleted already is found by its id alone.
    """
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except cloudformation.exceptions.ClientError:
        return "it was deleted again after a failure, without an event that names the reason"
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return "no event names the reason"
    first = failed[-1]  # events are newest first
    reason = first.get("ResourceStatusReason", first["ResourceStatus"])
    return f"{first['LogicalResourceId']}: {reason}"


def _deployed(
    cloudformation: Any, found: dict[str, Any], exports: dict[str, str], config: Config
) -> template.Deployed:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(
        StackName=found["StackName"]
    )
    return template.Deployed(
        parameters={
            each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())
        },
        physical={
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each.get("PhysicalResourceId")
        },
        exports=exports,
        region=config.aws.region,
        account=config.aws.account_id,
    )


def _exports(cloudformation: Any) -> dict[str, str]:
    pages = cloudformation.get_paginator("list_exports").paginate()
    return {each["Name"]: each["Value"] for page in pages for each in page["Exports"]}
