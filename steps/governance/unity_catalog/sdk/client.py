"""The APIs of databricks-sdk that the steps call, whose requests all go through `Transport`.

    client = workspace_client(host, authenticate, policy=Policy())  # the SDK's own retries are off
    client.tables.get("edgar.raw.filings")

`WorkspaceClient` holds these and 150 other APIs, whose services take longer to import than all the
rest of a small step (`sdk.on_demand`).

The code relies on three internals of databricks-sdk 0.156, and test_transport.py fails if an update
changes one: `Config(clock=…)` paces the SDK's retries, `ApiClient._api_client._session` is its
requests session, and `Config._resolve_host_metadata` requests the host's description with another
client, whose pauses have no bound.
"""

import sys
import time
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from databricks.sdk.clock import Clock as SdkClock
from databricks.sdk.config import Config, ConfigAttribute
from databricks.sdk.core import ApiClient
from databricks.sdk.credentials_provider import CredentialsProvider, CredentialsStrategy
from databricks.sdk.service.catalog import (
    ExternalLineageAPI,
    ExternalMetadataAPI,
    FunctionsAPI,
    ModelVersionsAPI,
    RegisteredModelsAPI,
    SchemasAPI,
    TablesAPI,
    TemporaryPathCredentialsAPI,
    TemporaryTableCredentialsAPI,
)
from databricks.sdk.service.iam import CurrentUserAPI

from steps.governance.unity_catalog.retrying import Policy
from steps.governance.unity_catalog.transport import TIMEOUT_SECONDS, Authenticate, Renew, Transport

# The SDK's own budget, in case an update ignores our clock; its default is 300 s.
_SDK_BUDGET_SECONDS = 1
_AUTH_TYPE = "oauth-m2m"
_PRODUCT = ("governed-finetune", "0.1.0")
_Api = TypeVar("_Api")


class WorkspaceApis:
    """What the steps call, by the names of `WorkspaceClient`; creating it sends nothing."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.api_client = ApiClient(config)
        self.current_user = self.api(CurrentUserAPI)
        self.external_lineage = self.api(ExternalLineageAPI)
        self.external_metadata = self.api(ExternalMetadataAPI)
        self.functions = self.api(FunctionsAPI)
        self.model_versions = self.api(ModelVersionsAPI)
        self.registered_models = self.api(RegisteredModelsAPI)
        self.schemas = self.api(SchemasAPI)
        self.tables = self.api(TablesAPI)
        self.temporary_path_credentials = self.api(TemporaryPathCredentialsAPI)
        self.temporary_table_credentials = self.api(TemporaryTableCredentialsAPI)

    def api(self, kind: Callable[[ApiClient], _Api]) -> _Api:
        """Return another API of the SDK, with the same connections, retries and identity."""
        return kind(self.api_client)


def workspace_client(
    host: str,
    authenticate: Authenticate,
    *,
    policy: Policy,
    timeout_seconds: float = TIMEOUT_SECONDS,
    renew: Renew | None = None,
) -> WorkspaceApis:
    """Return a databricks-sdk client that sends through `Transport`; creating it sends nothing."""
    config = _PlainConfig(
        host=host,
        # Pinned: a DATABRICKS_TOKEN in the environment must neither win nor raise an error.
        auth_type=_AUTH_TYPE,
        credentials_strategy=_Given(authenticate),
        http_timeout_seconds=timeout_seconds,
        retry_timeout_seconds=_SDK_BUDGET_SECONDS,
        product=_PRODUCT[0],
        product_version=_PRODUCT[1],
        clock=_NoSecondTime(),
    )
    client = WorkspaceApis(config)
    client.api_client._api_client._session.mount(
        f"{host}/", Transport(policy, authenticate=authenticate, renew=renew)
    )
    return client


class _PlainConfig(Config):
    """A configuration with a given host and identity, which sends no request to find them."""

    @classmethod
    def attributes(cls) -> Iterable[ConfigAttribute]:
        """Return the SDK's settings, which it would otherwise search for in this subclass."""
        return Config.attributes()

    def _resolve_host_metadata(self) -> None:
        """Skip the SDK's request for `/.well-known/databricks-config`, which is not needed."""


class _NoSecondTime(SdkClock):
    """The clock of a client without retries: a pause raises the call's own error instead."""

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> NoReturn:
        """Raise the error that the SDK caught."""
        raise sys.exception() or RuntimeError(
            f"databricks-sdk wants to wait for {seconds} s outside of a retry"
        )


class _Given(CredentialsStrategy):
    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    def auth_type(self) -> str:
        return _AUTH_TYPE

    def __call__(self, cfg: Config) -> CredentialsProvider:
        return self._authenticate
