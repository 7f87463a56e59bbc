"""A client of the same workspace, for the same principal, that never retries.

    client_that_sends_once(workspace).external_lineage.create_external_lineage_relationship(…)

`governance.transport` retries reads and rate-limited requests. A caller that does its own retries
uses this client: each request is sent once, and a lost answer raises `Unavailable` immediately.
"""

from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.sdk.client import WorkspaceApis, workspace_client
from steps.governance.unity_catalog.transport import TIMEOUT_SECONDS

_NO_BUDGET = 0.0


def client_that_sends_once(
    workspace: Workspace, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> WorkspaceApis:
    """Return a client without retries; after `timeout_seconds` an answer counts as lost."""
    return workspace_client(
        workspace.host,
        workspace.client.config.authenticate,
        policy=workspace.policy.within(_NO_BUDGET),
        timeout_seconds=timeout_seconds,
        renew=workspace.renew,
    )
