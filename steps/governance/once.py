"""A client of the same workspace, for the same principal, that sends each request once.

    client_that_sends_once(workspace).external_lineage.create_external_lineage_relationship(…)

databricks-sdk repeats a request whose answer was lost, creations too, and there is no idempotency token. Where a second
creation would be a second object, the caller sends once and looks before it sends again.
"""

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import CredentialsProvider, CredentialsStrategy

from steps.governance.identity import Workspace

_ONCE_SECONDS = 1  # databricks-sdk waits at least 1 s before it repeats a call, so with this budget it never does
_TIMEOUT_SECONDS = 60.0  # databricks-sdk's own default


def client_that_sends_once(workspace: Workspace, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> WorkspaceClient:
    """The workspace's client without its retries; no answer within `timeout_seconds` is a lost one."""
    config = workspace.client.config
    return WorkspaceClient(
        config=Config(
            host=workspace.host,
            auth_type=config.auth_type,
            credentials_strategy=_Delegated(config),
            retry_timeout_seconds=_ONCE_SECONDS,
            http_timeout_seconds=timeout_seconds,
        )
    )


class _Delegated(CredentialsStrategy):
    """The credentials of a configuration that exists already."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def auth_type(self) -> str:
        return str(self._config.auth_type)

    def __call__(self, _: Config) -> CredentialsProvider:
        return self._config.authenticate
