"""The one account of the embedded environment: its state folder, sessions of its roles, and who may
pass a role.

    session = account.session_of(role_arn, "sagemaker.amazonaws.com", "SageMaker")
    client = account.client("s3", session)

This is the only module, with `plugin`, that touches ministack's IAM. It creates the sessions of
services, after the trust policy of the role allows it. Every call of a job or an execution is
signed with that session, and the same evaluator decides about it as about a user's call.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.local.aws.errors import Denied, Invalid
from pipeline.local.aws.store import Store, now

# AWS renews a session while its job runs; here it simply outlasts every job.
SESSION_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Caller:
    """Who signed the request being served."""

    access_key_id: str
    arn: str

    @property
    def principal_id(self) -> str | None:
        """`<role id>:<session name>` of a role's session, None of another caller."""
        from ministack.services import sts

        session = sts._sessions.get(self.access_key_id)
        return None if session is None else str(session["UserId"])


@dataclass(frozen=True, repr=False)
class RoleSession:
    """A role's temporary keys; without repr, so that no log can hold them."""

    role_arn: str
    access_key_id: str
    secret_access_key: str
    session_token: str

    def environment(self) -> dict[str, str]:
        """The variables that every AWS client reads."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


@dataclass
class Account:
    """The settings that every part of the plug-in uses."""

    id: str
    region: str
    endpoint: str
    state: Path
    repository: Path
    engine: str
    stop_grace_seconds: float
    store: Store
    closing: threading.Event = field(default_factory=threading.Event)
    _clients: Any = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"

    def variables(self, session: RoleSession) -> dict[str, str]:
        """The environment variables of a job: its role's keys, the endpoint of AWS, the path of its
        code.
        """
        return session.environment() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "PYTHONPATH": str(self.repository),
        }

    def client(self, service: str, session: RoleSession) -> Any:
        """Return a boto3 client of this server that acts as that role."""
        # The import takes 0.3 s; here it does not delay the start of the server.
        from boto3 import Session
        from botocore.config import Config

        with self._lock:  # Clients may be used by several threads, but not built by several.
            if self._clients is None:
                # Each client brings its own keys.
                self._clients = Session(
                    region_name=self.region,
                    aws_access_key_id="none",
                    aws_secret_access_key="none",  # noqa: S106
                )
            return self._clients.client(
                service,
                endpoint_url=self.endpoint,
                aws_access_key_id=session.access_key_id,
                aws_secret_access_key=session.secret_access_key,
                aws_session_token=session.session_token,
                config=Config(
                    s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 3}
                ),
            )

    def session_of(
        self, role_arn: str, service: str, name: str, *, policy: dict[str, Any] | None = None
    ) -> RoleSession:
        """Return a session of the role for an AWS service that its trust policy lets assume it.

        `policy` (EMR's executionIamPolicy) narrows the session, as a session policy does.

        Raises:
            Invalid: the role does not exist or does not trust the service.
        """
        self.check_trust(role_arn, service)
        from ministack.services import iam, sts

        keys = RoleSession(
            role_arn, iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
        )
        role = self._role(role_arn)
        sts.register_session(
            keys.access_key_id,
            {
                "Arn": f"arn:aws:sts::{self.id}:assumed-role/{role['RoleName']}/{name}",
                "UserId": f"{role['RoleId']}:{name}",
                "SecretAccessKey": keys.secret_access_key,
                "SessionToken": keys.session_token,
                "Expiration": now() + SESSION_SECONDS,
                "AccountId": self.id,
                "PrincipalType": "AssumedRole",
                "SessionPolicies": _session_policies(policy),
            },
        )
        return keys

    @staticmethod
    def revoke(session: RoleSession) -> None:
        """Delete the session of a job or an execution that has ended."""
        from ministack.services import sts

        sts._sessions.pop(session.access_key_id, None)

    def check_trust(self, role_arn: str, service: str) -> None:
        """Check that the role's trust policy lets the service assume it.

        Raises:
            Invalid: the policy does not allow it, or the role does not exist.
        """
        from ministack.core import iam_evaluator

        document = self._role(role_arn)["AssumeRolePolicyDocument"]
        context = iam_evaluator.EvalContext(
            principal_arn=service,
            principal_type="Service",
            principal_account=self.id,
            action="sts:AssumeRole",
            resource_arn=role_arn,
            region=self.region,
            service_context={"aws:sourceaccount": self.id},
        )
        if (
            iam_evaluator.evaluate_resource_policy(document, context, service=service).decision
            != "Allow"
        ):
            raise Invalid(
                f"Could not assume role {role_arn}. Please ensure that the role exists and "
                "allows principal "
                f"'{service}' to assume the role."
            )

    def check_may_pass(self, caller: Caller, role_arn: str, service: str) -> None:
        """Check iam:PassRole with the service that gets the role.

        Raises:
            Denied: the caller may not.
        """
        self.check_allowed(caller, "iam:PassRole", role_arn, {"iam:PassedToService": service})

    def check_session(self, session: RoleSession, action: str, resource: str) -> None:
        """Check an action that a service does with a job's or an execution's role.

        Raises:
            Denied: IAM does not allow it; the message names role, action and resource.
        """
        from ministack.services import sts

        arn = str(sts._sessions[session.access_key_id]["Arn"])
        self.check_allowed(Caller(session.access_key_id, arn), action, resource)

    def check_allowed(
        self, caller: Caller, action: str, resource: str, context: dict[str, Any] | None = None
    ) -> None:
        """Check another IAM action of a caller, in the request that is being served or outside.

        Raises:
            Denied: IAM does not allow it.
        """
        from ministack.core import iam_actions, iam_evaluator

        service = action.partition(":")[0]
        verdict = iam_evaluator.enforce(
            caller.access_key_id, action, service, self.region, resource, context
        )
        if verdict is not None:
            explicit = getattr(verdict, "decision", "") == "Deny"
            raise Denied(
                iam_actions.identity_denial_message(action, caller.arn, resource, explicit)
            )

    def _role(self, role_arn: str) -> dict[str, Any]:
        from ministack.services import iam

        role = iam._roles.get_scoped(self.id, None, role_arn.rsplit("/", 1)[-1])
        if role is None or role["Arn"] != role_arn:
            raise Invalid(f"Could not assume role {role_arn}: the role does not exist.")
        found: dict[str, Any] = role
        return found


def _session_policies(policy: dict[str, Any] | None) -> dict[str, Any] | None:
    if not policy:
        return None
    return {"Policy": policy.get("policy"), "PolicyArns": policy.get("policyArns") or []}
