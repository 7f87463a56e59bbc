"""The work of the account's administrator: deploy the infrastructure, create Databricks' AWS user,
lend roles, interrupt spot jobs. Root's key is random and kept in the state folder, readable by its
owner only. Only the sessions of this module use it.
"""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import boto3

from pipeline.errors import PipelineError, Refused, UsageError
from pipeline.local.aws import infrastructure
from pipeline.local.aws.training_jobs import interruption
from pipeline.local.host.state import State
from pipeline.local.setup.session_names import session_name

REGION = "us-east-1"


def bucket(content: str) -> str:
    """Return the name of the bucket for `governed`, `evidence` or `artifacts`."""
    return f"{infrastructure.PREFIX}-{content}-{infrastructure.ACCOUNT_ID}-{REGION}"


def root(state: State, endpoint: str) -> "Root":
    """Return the account's root user."""
    key = state.secret_document("aws", "root.json")
    session = boto3.Session(
        aws_access_key_id=key["aws_access_key_id"],
        aws_secret_access_key=key["aws_secret_access_key"],
        region_name=REGION,
    )
    return Root(session, endpoint)


class Root:
    """The account's root user: its clients and its actions."""

    def __init__(self, session: boto3.Session, endpoint: str) -> None:
        self._session, self._endpoint = session, endpoint

    def client(self, service: str, *, role: str = "") -> Any:
        """Return a boto3 client of the stand-in; with one of the stack's roles if it is named."""
        keys = infrastructure.assume_role(self.client("sts"), role) if role else {}
        return self._session.client(service, endpoint_url=self._endpoint, **keys)

    def deploy(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create or update the infrastructure from its templates; return its outputs.

        `parameters` are those that differ from the embedded environment's own.

        Raises:
            PipelineError: CloudFormation refused it; the message has its first reason.
        """
        try:
            return infrastructure.deploy(self.client("cloudformation"), parameters)
        except infrastructure.DeploymentFailed as error:
            raise PipelineError(f"the infrastructure was not deployed: {error}") from error

    def public_keys(self, outputs: Mapping[str, str]) -> dict[str, str]:
        """Return the public keys of the stack's signing keys as conf/local.yaml's variables."""
        kms = self.client("kms")
        return {
            variable: base64.b64encode(kms.get_public_key(KeyId=outputs[key])["PublicKey"]).decode()
            for variable, key in (
                ("SIGNING_PUBLIC_KEY", "SigningKeyArn"),
                ("APPROVAL_PUBLIC_KEY", "ApprovalKeyArn"),
            )
        }

    def interrupt(self, training_job: str | None) -> str:
        """Take a spot training job's instance away, as AWS's spot market does; return the job's
        name. The default is the running job.

        Raises:
            UsageError: no job runs, or more than one.
            Refused: it cannot be interrupted; the message has the reason.
        """
        name = training_job or self._the_running_job()
        try:
            interruption.interrupt(self._session, self._endpoint, name)
        except interruption.NotInterrupted as error:
            raise Refused(str(error)) from error
        return name

    def _the_running_job(self) -> str:
        pages = (
            self.client("sagemaker")
            .get_paginator("list_training_jobs")
            .paginate(StatusEquals="InProgress")
        )
        names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
        if len(names) != 1:
            message = (
                f"expected one training job that runs, got {' '.join(names) or 'none'}; name one "
                "with --job"
            )
            raise UsageError(message)
        return str(names[0])

    def control_plane_key(self) -> dict[str, str]:
        """Return a new key of the user that acts as Databricks; it may only assume the storage
        role.
        """
        iam, user = self.client("iam"), infrastructure.CONTROL_PLANE_USER
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=user)
        role = f"arn:aws:iam::*:role/{infrastructure.PREFIX}-uc-storage"
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}],
        }
        iam.put_user_policy(
            UserName=user, PolicyName="assume-storage-role", PolicyDocument=json.dumps(policy)
        )
        for old in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=old["AccessKeyId"])
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return _variables(key["AccessKeyId"], key["SecretAccessKey"])

    def lend(self, role: str, name: str | None = None) -> dict[str, str]:
        """Return the AWS variables of a session of one of the stack's roles."""
        called = session_name(role, name)
        keys = infrastructure.assume_role(self.client("sts"), role, session_name=called)
        session = _variables(keys["aws_access_key_id"], keys["aws_secret_access_key"])
        return session | {"AWS_SESSION_TOKEN": keys["aws_session_token"]}


def _variables(key_id: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
