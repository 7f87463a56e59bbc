"""Deploys the layers of `conf/infrastructure`, the cloud's own templates, and lends their roles.

    outputs = deploy(root.client("cloudformation"), {})  # creates or updates each layer, in order
    outputs["RegisterQueueUrl"]
    keys = assume_role(root.client("sts"), "scientist")  # for boto3.Session

The local run therefore enforces the same policies as the cloud. `plugin` adds what ministack's
CloudFormation and IAM lack for these templates; the templates have no workarounds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.doctor import layers

LAYERS = layers.LAYERS  # in the order of their deployment
FOLDER = layers.FOLDER
ENVIRONMENT = "local"
PREFIX = f"governed-finetune-{ENVIRONMENT}"
CONTROL_PLANE_USER = "databricks-control-plane"  # the user in place of Databricks' AWS account
# an identifier, not a secret; the workspace gets the same one
EXTERNAL_ID = "governed-finetune-local"
ACCOUNT_ID = "000000000000"
SESSION_SECONDS = 12 * 3600

_WHO = ("Worker", "Deployer", "Scientist", "Auditor", "Approver", "Reconciler", "Mirror")
LOCAL_PARAMETERS = {
    "Environment": ENVIRONMENT,
    "DatabricksPrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:user/{CONTROL_PLANE_USER}",
    "DatabricksExternalId": EXTERNAL_ID,
    "PrepareImage": f"{ACCOUNT_ID}.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/prepare:local",
    # the worker is a process of this machine, and root lends every role
    **{f"{who}PrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:root" for who in _WHO},
    "WorkerKind": "elsewhere",
    "RegisterWaitsSeconds": "120",  # as `status` (pipeline/execution/attention.py)
    "DataEvents": "false",  # the embedded CloudTrail keeps a trail, and writes nothing to it
    "ModelPackageGroup": PREFIX,  # as conf/local.yaml, so that a first approval shows a package
    "EvidenceLockDays": "1",  # so that a state folder's evidence can be removed soon
    "RequireTls": "false",  # the loopback speaks plain HTTP
}


class DeploymentFailed(RuntimeError):
    """CloudFormation refused a template; the message has its first reason."""


def deploy(cloudformation: Any, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create or update every layer, each after the ones that it imports from; return all outputs.

    Args:
        cloudformation: a client that may deploy.
        parameters: values that differ from LOCAL_PARAMETERS; each goes to the layers that declare
            it.

    Raises:
        DeploymentFailed: a layer could not be created or updated; the later ones are untouched.
    """
    _refuse_one_stack(cloudformation)
    outputs: dict[str, str] = {}
    for layer in LAYERS:
        # an output is a later layer's parameter of the same name, as a person gives it
        template = FOLDER / f"{layer}.yaml"
        outputs |= deploy_layer(cloudformation, template, outputs | dict(parameters))
    return outputs


def deploy_layer(
    cloudformation: Any, template: Path, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Create or update one layer, the stack `governed-finetune-<environment>-<its file's name>`;
    return its outputs.

    Raises:
        DeploymentFailed: as `deploy`.
    """
    values = LOCAL_PARAMETERS | dict(parameters)
    name = f"governed-finetune-{values['Environment']}-{template.stem}"
    body = template.read_text(encoding="utf-8")
    try:
        declared = cloudformation.validate_template(TemplateBody=body)["Parameters"]
        request = {
            "StackName": name,
            "TemplateBody": body,
            "Parameters": [
                {
                    "ParameterKey": each["ParameterKey"],
                    "ParameterValue": values[each["ParameterKey"]],
                }
                for each in declared
                if each["ParameterKey"] in values
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": _tags(values["Environment"]),
        }
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
    """Keys of one of the layers' roles (`ci`, `scientist`, `register`, …), as boto3.Session takes
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


def _tags(environment: str) -> list[dict[str, str]]:
    """The stack's tags; CloudFormation gives them to each resource that has tags."""
    pairs = {"project": "governed-finetune", "environment": environment}
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def _refuse_one_stack(cloudformation: Any) -> None:
    """Refuse an account whose resources belong to the one stack of before the layers."""
    try:
        cloudformation.describe_stacks(StackName=PREFIX)
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" not in str(error):
            raise
        return
    raise DeploymentFailed(
        f"stack {PREFIX}\n  expected  none: its resources are in {len(LAYERS)} layers now\n"
        "  got       the stack of an older version\n"
        "  do        remove the state folder and start again"
    )


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
            StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200}
        )
    except WaiterError as error:
        raise DeploymentFailed(
            f"stack {name}: {layers.first_failure(cloudformation, name)}"
        ) from error
