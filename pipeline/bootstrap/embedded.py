"""The embedded environment as a site: its servers run, and nothing is in them yet.

    site = embedded.site(None)          # after `python -m pipeline.local up --empty`

It has no registry of images: a job's image is described when the job starts. The values of
conf/local.yaml are in the state folder; those that nothing decided yet are placeholders.
"""

from functools import partial
from typing import Any

from pipeline import layout, rights
from pipeline import mirror as mirror_model
from pipeline.bootstrap import experiments, identities, workspace
from pipeline.bootstrap.change import Change, Changes
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.configuration.fields import PLACEHOLDER_KEY
from pipeline.doctor import account
from pipeline.doctor.workspace import principals
from pipeline.errors import UsageError
from pipeline.local import environment
from pipeline.local.aws import infrastructure
from pipeline.local.host.servers import Servers
from pipeline.local.host.state import State, chosen
from pipeline.local.setup import aws_account, base_model, federation, raw_table
from pipeline.local.setup.filings import Filings
from pipeline.local.setup.grants import RAW_TABLE
from pipeline.local.setup.workspace import ACCOUNT
from pipeline.local.started import Started

_NO_ID = "00000000-0000-0000-0000-000000000000"
_OF_LAYERS = ("EMR_APPLICATION_ID", "SIGNING_PUBLIC_KEY", "APPROVAL_PUBLIC_KEY")
_NAMES = [f"{name.upper()}_CLIENT_ID" for name in rights.PRINCIPALS]


def site(folder: str | None, filings: Filings) -> "Embedded":
    """Return the environment of a state folder.

    Raises:
        UsageError: its servers do not run.
    """
    state = chosen(folder)
    record = state.load()
    alive = {process.name for process in record.processes if process.handle()}
    if not {"aws", "workspace"} <= alive:
        raise UsageError(
            f"no servers run in {state.folder}\n  do        {state.typed('up --empty')}"
        )
    return Embedded(state, Servers(state, record), filings)


class Embedded:
    """Root of the account and the workspace's administrator; see `site.Site`."""

    def __init__(self, state: State, servers: Servers, filings: Filings) -> None:
        self.state, self._servers, self._filings = state, servers, filings
        self._root = aws_account.root(state, servers.url("aws"))
        self._clients: dict[str, Any] = {}
        self._administrator: Any = None

    @property
    def config(self) -> Config:
        """conf/local.yaml with what is known."""
        return configuration.load("local", environ=self._unknown() | self._known)

    def client(self, service: str) -> Any:
        """Return root's client."""
        if service not in self._clients:
            self._clients[service] = self._root.client(service)
        return self._clients[service]

    def admin(self) -> Any:
        """Return the workspace's administrator."""
        if self._administrator is None:
            self._administrator = environment.admin(self.state, self._servers)
        return self._administrator

    def given(self) -> dict[str, str]:
        """Return the parameters of the embedded environment."""
        identity = self._servers.record.identity
        return infrastructure.LOCAL_PARAMETERS | {"DatabricksIdentity": identity}

    def images(self) -> Changes:
        """Yield nothing: no image is built here."""
        yield from ()

    def learned(self, outputs: dict[str, str]) -> Changes:
        """Yield the variables of conf/local.yaml that the layers decide."""
        values = dict.fromkeys(_OF_LAYERS, "")
        if "ApplicationId" in outputs:
            known = environment.known(self._servers, outputs)
            values = known | self._root.public_keys(outputs)
        return self._values(values)

    def sign_in(self) -> Changes:
        """Yield secrets, or federation policies, as the environment was started."""
        if self._servers.record.identity == "federated":
            keys = environment.public_keys(self.state)
            return federation.changes(self.admin(), self._root, keys)
        store = self.client("secretsmanager")
        return identities.secrets(self.admin(), store, "local", account=ACCOUNT)

    def client_ids(self) -> Changes:
        """Yield the variables with the principals' application ids."""
        found = principals(self.config, self.admin())
        return self._values(
            dict.fromkeys(_NAMES, "")
            | {f"{name.upper()}_CLIENT_ID": one for name, one in found.items()}
        )

    def mirror(self) -> Changes:
        """Yield the tiny model, which is made here and needs torch."""
        if "BASE_MODEL_REVISION" not in self._known or not account.mirrored(
            self.config, self.client("s3")
        ):
            yield Change("+", "base model: made, and mirrored", self._mirror)

    def raw_table(self) -> Changes:
        """Yield the raw table, with the filings that were given or the small corpus."""
        config, admin = self.config, self.admin()
        if workspace.exists(lambda: admin.tables.get(RAW_TABLE)):
            return
        yield from workspace.own_grants(admin, config)
        location = f"s3://{config.storage.governed_bucket}/raw/filings"
        make = partial(raw_table.loaded, admin, location, self._filings, aws=self._known)
        detail = f"{len(self._filings.rows)} filings in {location}"
        yield Change("+", f"table {RAW_TABLE}", make, (detail,))

    def processes(self) -> Changes:
        """Yield the tracking server and the register worker, unless they run."""
        if not self._servers.record.running:
            yield Change("+", "processes: tracking server, register worker", self._complete)

    def experiment(self) -> Changes:
        """Yield the experiment; without a tracking server it is not there."""
        running = self._servers.record.running
        yield from experiments.changes(self.admin(), self.config, looks=running)

    @property
    def _known(self) -> dict[str, str]:
        return self._servers.record.variables

    def _values(self, values: dict[str, str]) -> Changes:
        changed = sorted(name for name, text in values.items() if self._known.get(name) != text)
        if changed:
            make = partial(self._servers.remember_variables, self._known | values)
            yield Change("~", f"values of conf/local.yaml: {', '.join(changed)}", make)

    def _mirror(self) -> None:
        folder = self.state.folder / "base-model"
        document = base_model.ModelProcess(folder).mirror()
        revision = str(document["revision"])
        self._servers.remember_variables(self._known | {"BASE_MODEL_REVISION": revision})
        uri = layout.base_model(self.config)
        mirror_model.upload(self.client("s3"), folder, document, uri=uri)

    def _complete(self) -> None:
        environment.complete(Started(self.state, self._servers, fresh=True))
        self._servers.ready()

    def _unknown(self) -> dict[str, str]:
        """Values of conf/local.yaml before anything is there; none of them is deployed."""
        return {
            **environment.addresses(self._servers),
            **dict.fromkeys(_NAMES, _NO_ID),
            "BASE_MODEL_REVISION": "0" * 40,
            "EMR_APPLICATION_ID": "0" * 16,
            "DATABRICKS_IDENTITY": self._servers.record.identity,
            "SIGNING_PUBLIC_KEY": PLACEHOLDER_KEY,
            "APPROVAL_PUBLIC_KEY": PLACEHOLDER_KEY,
        }
