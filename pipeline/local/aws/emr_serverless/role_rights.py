"""What EMR Serverless does with a run's role besides its job: IAM is asked before the driver.

    role_rights.check(account, session, group, stream)

In AWS it looks for the log group and writes the driver's streams with this role. A right that the
role lacks fails the run, so it is found before the first run in an account. [unverified] whether
AWS fails such a run, or leaves its log out.
"""

from pipeline.local.aws.account import Account, RoleSession

# EMR Serverless User Guide, "Logging with CloudWatch"
_OF_STREAM = ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")


def check(account: Account, session: RoleSession, group: str, stream: str) -> None:
    """Ask IAM for each right that the service needs for a run's log.

    Raises:
        Denied: the role lacks one; the message names role, action and resource.
    """
    account.check_session(session, "logs:DescribeLogGroups", account.arn("logs", "log-group:*"))
    resource = account.arn("logs", f"log-group:{group}:log-stream:{stream}")
    for action in _OF_STREAM:
        account.check_session(session, f"logs:{action}", resource)
