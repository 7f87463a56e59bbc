"""Deploys `conf/infrastructure/stack.yaml`, the cloud's own template, and lends its roles.

    outputs = deploy(root.client("cloudformation"), {})     # create, update, or nothing to do: the same outputs
    outputs["RegisterQueueUrl"]
    keys = assume_role(root.client("sts"), "scientist")     # aws_access_key_id, … as boto3.Session takes them

So the local run enforces the policies that the cloud would. What ministack's CloudFormation or IAM
lacks for that template is added in `plugin`, not worked around in the template.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parents[3] / "conf" / "infrastructure" / "stack.yaml"
ENVIRONMENT = "local"
PREFIX = f"governed-finetune-{ENVIRONMENT}"
CONTROL_PLANE_USER = "databricks-control-plane"  # stands for Databricks' own AWS account
EXTERNAL_ID = "governed-finetune-local"  # an identifier, no secret; the workspace is told the same
ACCOUNT_ID = "000000000000"
SESSION_SECONDS = 12 * 3600

LOCAL_PARAMETERS = {
    "Environment": ENVIRONMENT,
    "DatabricksPrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:user/{CONTROL_PLANE_USER}",
    "DatabricksExternalId": EXTERNAL_ID,
    "PrepareImage": f"{ACCOUNT_ID}.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/prepare:local",
    # the worker is a process of this machine
    "WorkerPrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:root",
    "RequireTls": "false",  # the loopback speaks plain HTTP
}


class DeploymentFailed(RuntimeError):
    """CloudFormation refused the template; the message holds the first reason it gave."""


def deploy(
    cloudformation: Any, parameters: Mapping[str, str], *, template: Path = TEMPLATE
) -> dict[str, str]:
    """The stack's outputs, after it was created or updated to what the template says.

    Args:
        cloudformation: a client that may deploy.
        parameters: what differs from LOCAL_PARAMETERS.
        template: the file to deploy.

    Raises:
        DeploymentFailed: the stack could not be brought to the template.
    """
    values = LOCAL_PARAMETERS | dict(parameters)
    name = f"governed-finetune-{values['Environment']}"
    request = {
        "StackName": name,
        "TemplateBody": template.read_text(encoding="utf-8"),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in values.items()
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    try:
        changing = _create_or_update(cloudformation, request)
    except cloudformation.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentFailed(f"stack {name}: {error}") from error
        changing = None
    if changing is not None:
        _wait(cloudformation, changing, name)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def assume_role(
    sts: Any, role: str, *, prefix: str = PREFIX, session_name: str = ""
) -> dict[str, str]:
    """Keys of one of the stack's roles (`ci`, `scientist`, `register`, …), as boto3.Session takes
    them.

    In this account root may assume any role; in AWS the role's trust policy decides.
    """
    keys = sts.assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/{prefix}-{role}",
        RoleSessionName=session_name or f"local-{role}",
        DurationSeconds=SESSION_SECONDS,
    )["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


def _create_or_update(cloudformation: Any, request: Mapping[str, Any]) -> str:
    """The name of the waiter for what was begun."""
    try:
        cloudformation.create_stack(**request, OnFailure="DELETE")
    except cloudformation.exceptions.AlreadyExistsException:
        cloudformation.update_stack(**request)
        return "stack_update_complete"
    return "stack_create_complete"


def _wait(cloudformation: Any, waiter: str, name: str) -> None:
    from botocore.exceptions import WaiterError

    try:
        cloudformation.get_waiter(waiter).wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
    except WaiterError as error:
        raise DeploymentFailed(f"stack {name}: {_first_reason(cloudformation, name)}") from error


def _first_reason(cloudformation: Any, name: str) -> str:
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except cloudformation.exceptions.ClientError:
        return "it was deleted again after a failure, without an event that says why"
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return "no event says why"
    first = failed[-1]  # events are newest first
    return (
        f"{first['LogicalResourceId']}: "
        f"{first.get('ResourceStatusReason', first['ResourceStatus'])}"
    )
