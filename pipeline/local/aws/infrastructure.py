"""Deploys `conf/infrastructure/stack.yaml`, the cloud's own template, and lends its roles.

    outputs = deploy(root.client("cloudformation"), {})     # creates or updates
    outputs["RegisterQueueUrl"]
    keys = assume_role(root.client("sts"), "scientist")     # for boto3.Session

The local run therefore enforces the same policies as the cloud. `plugin` adds what ministack's
CloudFormation and IAM lack for that template; the template has no workarounds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parents[3] / "conf" / "infrastructure" / "stack.yaml"
ENVIRONMENT = "local"
PREFIX = f"governed-finetune-{ENVIRONMENT}"
CONTROL_PLANE_USER = "databricks-control-plane"  # the user in place of Databricks' AWS account
# an identifier, not a secret; the workspace gets the same one
EXTERNAL_ID = "governed-finetune-local"
ACCOUNT_ID = "000000000000"
SESSION_SECONDS = 12 * 3600

LOCAL_PARAMETERS = {
    "Environment": ENVIRONMENT,
    "DatabricksPrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:user/{CONTROL_PLANE_USER}",
    "DatabricksExternalId": EXTERNAL_ID,
    "PrepareImage": f"{ACCOUNT_ID}.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/prepare:local",
    # the worker is a process of this machine
    "WorkerPrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:root",
    "EvidenceLockDays": "1",  # so that a state folder's evidence can be removed soon
    "RequireTls": "false",  # the loopback speaks plain HTTP
}


class DeploymentFailed(RuntimeError):
    """CloudFormation refused the template; the message has its first reason."""


def deploy(
    cloudformation: Any, parameters: Mapping[str, str], *, template: Path = TEMPLATE
) -> dict[str, str]:
    """Create or update the stack from the template and return its outputs.

    Args:
        cloudformation: a client that may deploy.
        parameters: values that differ from LOCAL_PARAMETERS.
        template: the file to deploy.

    Raises:
        DeploymentFailed: the stack could not be created or updated.
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
    """Start the change and return the name of its waiter."""
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
        return "it was deleted again after a failure, without an event that names the reason"
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return "no event names the reason"
    first = failed[-1]  # events are newest first
    return (
        f"{first['LogicalResourceId']}: "
        f"{first.get('ResourceStatusReason', first['ResourceStatus'])}"
    )
