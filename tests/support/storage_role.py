"""Keys of the role `uc-storage`, which alone may enter the governed bucket: root may not.

    keys = storage_role.keys(root_client)      # as boto3.client takes them

They are lent as Databricks' control plane gets them: to its AWS user, with the external id.
"""

import json
from contextlib import suppress
from typing import Any, Protocol

from pipeline.local.aws import infrastructure


class Clients(Protocol):
    """Makes a client of root, or of the keys that are given."""

    def __call__(self, service: str, /, **keys: str) -> Any:
        """Return a boto3 client."""


def keys(client: Clients) -> dict[str, str]:
    """Return a session's keys; the control plane's own key stays valid."""
    iam, user = client("iam"), infrastructure.CONTROL_PLANE_USER
    role = f"arn:aws:iam::{infrastructure.ACCOUNT_ID}:role/{infrastructure.PREFIX}-uc-storage"
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=user)
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    iam.put_user_policy(
        UserName=user,
        PolicyName="assume",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow}),
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    sts = client(
        "sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    session = sts.assume_role(
        RoleArn=role, RoleSessionName="test", ExternalId=infrastructure.EXTERNAL_ID
    )["Credentials"]
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    return {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
