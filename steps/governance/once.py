"""A client of the same workspace, for the same principal, that repeats nothing at all.

    client_that_sends_once(workspace).external_lineage.create_external_lineage_relationship(…)

`governance.transport` repeats reads, and what a rate limit refused. A caller that paces itself takes this client: each
request is sent once, and what brought no answer is `Unavailable` at once, whatever pause the service asks for.
"""

from databricks.sdk import WorkspaceClient

from steps.governance.identity import Workspace
from steps.governance.transport import TIMEOUT_SECONDS, workspace_client

_NO_BUDGET = 0.0


def client_that_sends_once(
    workspace: Workspace, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> WorkspaceClient:
    """The workspace's client without repetitions; no answer within `timeout_seconds` is a lost one."""
    return workspace_client(
        workspace.host,
        workspace.client.config.authenticate,
        policy=workspace.policy.within(_NO_BUDGET),
        timeout_seconds=timeout_seconds,
    )
