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
    state = chosen(folder)
    record = state.load()
    if not record.running:
        raise UsageError(f"no environment runs in {state.folder}\n  do        {state.typed('up')}")
    started = Started(state, Servers(state, record), fresh=False)
    root, made = started.root, dict[str, Any]()

    def client(service: str) -> Any:
        if service not in made:
            made[service] = root.client(service)
        return made[service]

    return started.config, client, lambda: environment.admin(state, started.servers)
