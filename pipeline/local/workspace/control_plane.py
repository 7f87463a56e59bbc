"""The control plane's AWS identity, and the sessions that it gets from a storage credential's role.

The identity comes from the standard AWS_* environment variables. It has no rights on data: every
access to storage uses `AssumeRole` with the external id that the role's trust policy requires, as
in Databricks.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from pipeline.local.workspace.errors import PermissionDenied, Unavailable
from pipeline.local.workspace.settings import Settings

MINIMUM_SESSION_SECONDS = 900  # source: AWS STS AssumeRole, DurationSeconds
_RENEW_BEFORE_SECONDS = 120
# Databricks' words [unverified: from reports of users]; STS's own follow here
_NOT_ITSELF = (
    "The IAM role for this storage credential was found to be non self-assuming. Please check "
    "your role's trust and IAM policies to ensure that your IAM role can assume itself: "
)

Credentials = dict[str, Any]


class ControlPlane:
    """The workspace's own use of STS and S3."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lock = threading.Lock()
        self._sts: Any = None
        self._kept: dict[tuple[str, str], tuple[float, Any]] = {}

    def identity(self) -> str:
        """Return the ARN that a storage role has to trust."""
        return str(self._call_sts("get_caller_identity")["Arn"])

    def assume(
        self, role_arn: str, external_id: str, *, seconds: int, policy: Any = None
    ) -> Credentials:
        """Return temporary credentials of a storage role.

        With a session policy they are narrowed: the role assumes itself for that, which is why
        Databricks demands a role that may [unverified: that it narrows so].

        Raises:
            PermissionDenied: the control plane may not assume the role, or the role not itself.
            Unavailable: STS does not answer.
        """
        asked = {
            "RoleArn": role_arn,
            "RoleSessionName": "unity-catalog",
            "ExternalId": external_id,
            "DurationSeconds": max(seconds, MINIMUM_SESSION_SECONDS),
        }
        if policy is None:
            answer = self._call_sts("assume_role", **asked)
        else:
            answer = self._by_itself(role_arn, external_id, asked | {"Policy": json.dumps(policy)})
        credentials: Credentials = answer["Credentials"]
        return credentials

    def require_self_assuming(self, role_arn: str, external_id: str) -> None:
        """Check that the role may assume itself, as Databricks does for a new credential.

        Raises:
            PermissionDenied: it may not, or the control plane may not assume it.
            Unavailable: STS does not answer.
        """
        asked = {"RoleArn": role_arn, "RoleSessionName": "unity-catalog", "ExternalId": external_id}
        self._by_itself(role_arn, external_id, asked)

    def storage(self, role_arn: str, external_id: str) -> Any:
        """Return an S3 client with the storage role's rights, for the workspace's own files."""
        return self._own("s3", role_arn, external_id)

    def _by_itself(self, role_arn: str, external_id: str, asked: dict[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        own = self._own("sts", role_arn, external_id)
        try:
            return own.assume_role(**asked)
        except ClientError as error:
            raise PermissionDenied(_NOT_ITSELF + error.response["Error"]["Message"]) from None
        except BotoCoreError as error:
            raise self._lost(error) from None

    def _own(self, service: str, role_arn: str, external_id: str) -> Any:
        """Return a client with the role's whole session, which is kept until it ends soon."""
        key = (service, role_arn)
        with self._lock:
            expires, client = self._kept.get(key, (0.0, None))
        if expires - time.time() > _RENEW_BEFORE_SECONDS:
            return client
        credentials = self.assume(role_arn, external_id, seconds=3600)
        client = self._client(service, credentials)
        with self._lock:
            self._kept[key] = (credentials["Expiration"].timestamp(), client)
        return client

    def _call_sts(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        with self._lock:
            self._sts = self._sts or self._client("sts")
        try:
            return getattr(self._sts, operation)(**arguments)
        except ClientError as error:
            reason = error.response["Error"].get("Message", "")
            role = arguments.get("RoleArn", "its own identity")
            raise PermissionDenied(
                f"The Unity Catalog control plane may not use {role}: {reason}"
            ) from None
        except BotoCoreError as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> Unavailable:
        return Unavailable(f"AWS STS at {self._settings.aws_endpoint}: {type(error).__name__}")

    def _client(self, service: str, credentials: Credentials | None = None) -> Any:
        import boto3  # The import takes 0.6 s, so it happens at the first vending.
        from botocore.config import Config

        keys = credentials and {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
        config = Config(
            signature_version="s3v4" if service == "s3" else "v4",
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "max_attempts": 3},
            connect_timeout=5,
            read_timeout=60,
        )
        # A new session, because boto3's default session is not safe to share between threads.
        session: Any = boto3.session.Session(region_name=self._settings.region)
        return session.client(
            service, endpoint_url=self._settings.aws_endpoint, config=config, **(keys or {})
        )
