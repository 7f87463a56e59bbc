"""The administrators of a running embedded environment: root of the account, and of the workspace.

config, client, admin = embedded.identities(None)
client("iam"), admin().metastores.summary()
"""

from collections.abc import Callable
from typing import Any

from pipeline.configuration.config import Config
from pipeline.errors import UsageError
from pipeline.local import environment
from pipeline.local.host.servers import Servers
from pipeline.local.host.state import chosen
from pipeline.local.started import Started


def identities(
    folder: str | None,
) -> tuple[Config, Callable[[str], Any], Callable[[], Any]]:
    """Return the environment's configuration, root's clients by service, and the workspace's
    administrator.

    Raises:
        UsageError: it does not run.
    """
    started = _started(folder)
    state, root, made = started.state, started.root, dict[str, Any]()

    def client(service: str) -> Any:
        if service not in made:
            made[service] = root.client(service)
        return made[service]

    return started.config, client, lambda: environment.admin(state, started.servers)


def variables(folder: str | None) -> dict[str, str]:
    """Return the variables of a process that runs as both administrators. They hold secrets.

    Raises:
        UsageError: the environment does not run.
    """
    started = _started(folder)
    key = started.state.secret_document("aws", "root.json")
    administrator = started.state.secret_document("workspace", "admin.json")
    return started.variables | {
        "AWS_ACCESS_KEY_ID": key["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["aws_secret_access_key"],
        "DATABRICKS_AUTH_TYPE": "oauth-m2m",
        "DATABRICKS_CLIENT_ID": administrator["client_id"],
        "DATABRICKS_CLIENT_SECRET": administrator["client_secret"],
    }


def _started(folder: str | None) -> Started:
    state = chosen(folder)
    record = state.load()
    if not record.running:
        raise UsageError(f"no environment runs in {state.folder}\n  do        {state.typed('up')}")
    return Started(state, Servers(state, record), fresh=False)
