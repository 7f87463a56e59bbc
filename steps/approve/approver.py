"""Who approves: a member of the approvers' group, and not who started the execution.

    approver = identified(workspace, region, group)
    require_another(approver, record)

Both identities come from the services that issued them: SCIM's Me for Databricks, and STS for AWS.
Only direct memberships count, as Me lists them [unverified: whether Me lists inherited ones].
"""

from dataclasses import dataclass

from steps.governance import aws
from steps.governance.documents.record import Record
from steps.governance.errors import AccessDenied
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed, translated


@dataclass(frozen=True)
class Approver:
    """A Databricks principal, its AWS session, and the group that makes it an approver."""

    databricks: str
    aws: str
    group: str


def identified(workspace: Workspace, region: str, group: str) -> Approver:
    """Return the caller if it may approve.

    Raises:
        AccessDenied: the caller is not a member of the group.
    """
    doing = "read who is calling, and its groups"
    with translated(workspace.principal, doing):
        me = workspace.client.current_user.me()
    if not me.user_name:
        raise malformed(workspace.principal, doing, "a caller without a name")
    groups = sorted(str(each.display) for each in me.groups or [])
    if group not in groups:
        raise AccessDenied(
            f"{me.user_name} may not approve",
            expected=f"a member of the group {group}",
            got=f"a member of {', '.join(groups) or 'no group'}"[:300],
            do=f"ask an administrator of the workspace to add {me.display_name or me.user_name} "
            f"to {group}, or ask a member to approve",
        )
    with aws.translated("read this session's identity"):
        arn = str(aws.client("sts", region).get_caller_identity()["Arn"])
    return Approver(me.user_name, arn, group)


def require_another(approver: Approver, record: Record) -> None:
    """Check that another person started the execution. No setting switches this off.

    Two sessions are the same person's if their names are equal: IAM Identity Center names a session
    after its user. A record of version 1 does not name who started the execution.

    Raises:
        AccessDenied: the approver started it.
    """
    starter = record.execution.started_by
    if starter is None:
        return
    known = {name for name in (starter.arn, starter.user_profile) if name}
    people = known | {_person(name) for name in known}
    mine = {approver.aws, _person(approver.aws), approver.databricks}
    if people & mine:
        raise AccessDenied(
            f"{approver.databricks} started the execution that made this version",
            expected="an approval by another person",
            got=", ".join(sorted(known)),
            do="ask another member of the group to approve",
        )


def _person(arn: str) -> str:
    """Return the user of an ARN: the session's name, or the name of the user or profile."""
    return arn.rsplit("/", 1)[-1]
