"""A running embedded environment: its configuration, its root user, and the variables of people."""

import json
from dataclasses import dataclass
from typing import Any

from pipeline import rights
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.errors import PipelineError
from pipeline.local.host.servers import Servers
from pipeline.local.host.state import State
from pipeline.local.setup import aws_account


@dataclass(frozen=True)
class Started:
    """A running environment: servers that answer, the infrastructure, and a mirrored base model.
    The catalog may still be empty.
    """

    state: State
    servers: Servers
    fresh: bool  # False: it ran before this command, which therefore does not stop it

    @property
    def variables(self) -> dict[str, str]:
        """The values of `${NAME}` in conf/local.yaml, which include the servers' URLs. None is
        secret.
        """
        return self.servers.record.variables

    @property
    def config(self) -> Config:
        """conf/local.yaml with this environment's ports, ids and revision."""
        return configuration.load("local", environ=self.variables)

    @property
    def root(self) -> aws_account.Root:
        """The stand-in account's root user."""
        return aws_account.root(self.state, self.servers.url("aws"))

    def as_role(self, role: str, name: str | None = None) -> dict[str, str]:
        """Return the variables of a process with a role of the stack (`ci`, `scientist`, …).

        `name` is the session's (default: as `session_names` has it).
        """
        return self.variables | self.root.lend(role, name)

    def scientist_client(self, service: str) -> Any:
        """Return a client with a new session of the data scientist's role."""
        return self._client(service, self.as_role("scientist"))

    def _client(self, service: str, session: dict[str, str]) -> Any:
        import boto3  # takes 0.3 s

        return boto3.client(
            service,
            region_name=session["AWS_REGION"],
            endpoint_url=session["AWS_ENDPOINT_URL"],
            aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=session["AWS_SESSION_TOKEN"],
        )

    def as_scientist(self) -> dict[str, str]:
        """Return a data scientist's variables."""
        return self.as_principal("scientist")

    def as_principal(self, name: str, session: str | None = None) -> dict[str, str]:
        """Return the variables of `scientist`, `auditor`, `approver` or `reconciler`: AWS role with
        a session of this name, Databricks principal, mlflow's URIs.
        """
        federated = self.servers.record.identity == "federated"
        proof = self._token(name, session) if federated else self._secret(name)
        return (
            self.as_role(name, session)
            | proof
            | {
                "MLFLOW_TRACKING_URI": "databricks",
                "MLFLOW_REGISTRY_URI": "databricks-uc",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            }
        )

    def _secret(self, name: str) -> dict[str, str]:
        secrets = self.root.client("secretsmanager")
        found = secrets.get_secret_value(SecretId=rights.secret_name("local", name))
        identity = json.loads(found["SecretString"])
        return {
            "DATABRICKS_AUTH_TYPE": "oauth-m2m",
            "DATABRICKS_CLIENT_ID": identity["clientId"],
            "DATABRICKS_CLIENT_SECRET": identity["clientSecret"],
        }

    def _token(self, name: str, session: str | None) -> dict[str, str]:
        """An access token, which lasts an hour; the SDK does not know how to get another."""
        from pipeline.local.setup import federation  # imports requests

        client_id = self.variables[f"{name.upper()}_CLIENT_ID"]
        sts = self._client("sts", self.as_role(name, session))
        token = federation.access_token(self.config.databricks.host, client_id, sts)
        return {"DATABRICKS_AUTH_TYPE": "pat", "DATABRICKS_TOKEN": token}


def found(state: State) -> Started:
    """Return the environment that runs.

    Raises:
        PipelineError: none runs in this folder.
    """
    record = state.load()
    if not record.running:
        raise PipelineError(
            f"no environment runs in {state.folder}\n  do        {state.typed('up')}"
        )
    return Started(state, Servers(state, record), fresh=False)
