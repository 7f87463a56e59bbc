"""What bootstrap needs of an account, of AWS or embedded, beyond its two administrators."""

from typing import Any, Protocol

from pipeline.bootstrap.change import Changes
from pipeline.configuration.config import Config


class Site(Protocol):
    """An account and a workspace: `cloud.Cloud` or `embedded.Embedded`."""

    @property
    def config(self) -> Config:
        """The configuration, with what was learned so far."""

    def client(self, service: str) -> Any:
        """Return the administrator's client of an AWS service."""

    def admin(self) -> Any:
        """Return the metastore admin's WorkspaceClient."""

    def given(self) -> dict[str, str]:
        """Return the parameters of layers that conf does not have."""

    def images(self) -> Changes:
        """Yield the images that the layer `compute` needs and that are not there."""

    def learned(self, outputs: dict[str, str]) -> Changes:
        """Yield the values of conf that the layers decide, where conf has others."""

    def sign_in(self) -> Changes:
        """Yield what the principals, which exist, lack to prove who they are."""

    def client_ids(self) -> Changes:
        """Yield the application ids that conf lacks."""

    def mirror(self) -> Changes:
        """Yield the base model's mirror, if it is missing."""

    def raw_table(self) -> Changes:
        """Yield the raw table, if it is missing."""

    def processes(self) -> Changes:
        """Yield the processes that no layer starts."""

    def experiment(self) -> Changes:
        """Yield the MLflow experiment and its rights, as far as they are missing."""
