"""What an account's administrator does: deploy the infrastructure template, give Databricks its AWS user, lend roles.

Root's key is random, lies in the state folder readable by its owner alone, and never leaves this module's sessions.
"""

import json
from contextlib import suppress
from typing import Any

import boto3

from pipeline.config import Config
from pipeline.local.aws import infrastructure
from pipeline.local.state import State

REGION = "us-east-1"
ENVIRONMENT = "local"
PREFIX = f"governed-finetune-{ENVIRONMENT}"

_CONTROL_PLANE = "databricks-control-plane"  # the IAM user that stands for Databricks' own AWS account
_SESSION_SECONDS = 12 * 3600  # the worker's session: in the cloud the platform renews it


def bucket(content: str) -> str:
    """The environment's bucket for `governed`, `evidence` or `artifacts`."""
    return f"{PREFIX}-{content}"


def root(state: State, endpoint: str) -> "Root":
    """The account's root user."""
    key = state.secret_document("aws", "root.json")
    session = boto3.Session(
        aws_access_key_id=key["aws_access_key_id"],
        aws_secret_access_key=key["aws_secret_access_key"],
        region_name=REGION,
    )
    return Root(session, endpoint)


class Root:
    """Clients and deeds of the account's root user."""

    def __init__(self, session: boto3.Session, endpoint: str) -> None:
        self._session, self._endpoint = session, endpoint

    def client(self, service: str) -> Any:
        """A boto3 client of the stand-in."""
        return self._session.client(service, endpoint_url=self._endpoint)

    def deploy(self) -> dict[str, str]:
        """Create or update the infrastructure from its template; its outputs."""
        outputs: dict[str, str] = infrastructure.deploy(self.client("cloudformation"), {})
        return outputs

    def control_plane_key(self) -> dict[str, str]:
        """A fresh key for the user that Databricks would be: it may assume the storage role and nothing else."""
        iam = self.client("iam")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=_CONTROL_PLANE)
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": f"arn:aws:iam::*:role/{PREFIX}-uc-storage",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=_CONTROL_PLANE, PolicyName="assume-storage-role", PolicyDocument=policy)
        for old in iam.list_access_keys(UserName=_CONTROL_PLANE)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=_CONTROL_PLANE, AccessKeyId=old["AccessKeyId"])
        key = iam.create_access_key(UserName=_CONTROL_PLANE)["AccessKey"]
        return _variables(key["AccessKeyId"], key["SecretAccessKey"])

    def lend(self, config: Config, role: str) -> dict[str, str]:
        """The AWS variables of a session of one of the stack's roles."""
        keys = self.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{config.aws.account_id}:role/{PREFIX}-{role}",
            RoleSessionName=f"local-{role}",
            DurationSeconds=_SESSION_SECONDS,
        )["Credentials"]
        return _variables(keys["AccessKeyId"], keys["SecretAccessKey"]) | {"AWS_SESSION_TOKEN": keys["SessionToken"]}


def _variables(key_id: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
