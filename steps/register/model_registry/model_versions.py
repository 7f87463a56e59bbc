"""Single calls to Unity Catalog's model registry, as one principal, through mlflow's client.

    versions = ModelVersions(workspace)
    versions.find(name, source); versions.set_alias(name, "challenger", 3)

External calls. Reads are repeated (`governance.retrying`). Effects are sent once. After a lost
answer:

create model           search before it is sent again; if the model exists by then, that is success
delete version         search before it is sent again; if the version is gone, that is success
set tag, set alias     read back before it is sent again
remove an alias        changes nothing, and is not sent again

Creating a version takes several requests and an upload:
`steps.register.model_registry.registry` does it.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.governance.errors import Conflict, InvalidRequest, NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed
from steps.governance.unity_catalog.retrying import settle
from steps.register.model_registry.mlflow_session import mlflow_client, translated

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

READY, PENDING = "READY", "PENDING_REGISTRATION"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_NO_ALIAS = "register-asks-whether-it-may-set-aliases"  # no model has it
_PAGE = 100  # versions per search; a server need not accept mlflow's default of 10,000


@dataclass(frozen=True)
class Found:
    """A version made from our source, as the search lists it."""

    version: int
    status: str

    @property
    def ready(self) -> bool:
        """Whether it can be loaded."""
        return self.status == READY

    @property
    def pending(self) -> bool:
        """Whether it was created and never finalized."""
        return self.status == PENDING


class ModelVersions:
    """Models, versions, tags and aliases."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal, self._policy = workspace.principal, workspace.policy
        self._client: MlflowClient = mlflow_client(workspace)

    def find(self, name: UcName, source: str) -> list[Found]:
        """Return every version made from `source`, the lowest number first."""
        doing, found, token = f"search versions of {name}", [], None
        seen: set[str | None] = set()
        while token not in seen:
            seen.add(token)
            try:
                with translated(self.principal, doing):
                    page = self._client.search_model_versions(
                        f"name='{name}'", max_results=_PAGE, page_token=token
                    )
            except NotFound:  # no such model, so no versions
                return []
            ours = [entry for entry in page if entry.source == source]
            found += [Found(self.number(name, entry), str(entry.status)) for entry in ours]
            token = page.token
            if not token:
                return sorted(found, key=lambda entry: entry.version)
        raise malformed(self.principal, doing, "the same page a second time")

    def tags(self, name: UcName, version: int) -> Mapping[str, str]:
        """Return a version's tags."""
        return dict(self._get(name, version).tags)

    def status(self, name: UcName, version: int) -> str:
        """Return a version's status, as mlflow names it."""
        return str(self._get(name, version).status)

    def set_tag(self, name: UcName, version: int, *, key: str, value: str) -> None:
        """Set one tag; setting it again changes nothing."""
        self._settle(
            lambda: self._client.set_model_version_tag(str(name), str(version), key, value),
            present=lambda: self.tags(name, version).get(key) == value,
            doing=f"tag version {version} of {name}",
        )

    def set_alias(self, name: UcName, alias: str, version: int) -> None:
        """Let `alias` point at the version. Only the owner may; the creator is the first owner.

        Raises:
            AccessDenied: the model belongs to somebody else.
        """
        self._settle(
            lambda: self._client.set_registered_model_alias(str(name), alias, str(version)),
            present=lambda: self.has_alias(name, alias, version),
            doing=f"set alias {alias} of {name} (only the model's owner may)",
        )

    def require_alias_right(self, name: UcName) -> None:
        """Ask whether this principal may set the model's aliases, before a version is made.

        It removes an alias that no model has: who may not set aliases is refused that too, and
        nothing changes. If the registry looks for the alias first [unverified on AWS], this finds
        nothing out, and the refusal comes with `set_alias`. A missing model is not a refusal.

        Raises:
            AccessDenied: the model belongs to somebody else, or this principal may not use it.
        """
        doing = f"change the aliases of {name} (only the model's owner may)"
        with suppress(NotFound, InvalidRequest), translated(self.principal, doing):
            self._client.delete_registered_model_alias(str(name), _NO_ALIAS)

    def has_alias(self, name: UcName, alias: str, version: int) -> bool:
        """Whether `alias` points at the version."""
        return self.alias_version(name, alias) == version

    def alias_version(self, name: UcName, alias: str) -> int | None:
        """Return the version that `alias` points at, or None if no version holds it."""
        try:
            with translated(self.principal, f"look up alias {alias} of {name}"):
                got = self._client.get_model_version_by_alias(str(name), alias)
        except NotFound:
            return None
        return self.number(name, got)

    def has_model(self, name: UcName) -> bool:
        """Whether there is such a registered model."""
        try:
            with translated(self.principal, f"look up model {name}"):
                got = self._client.get_registered_model(str(name))
        except NotFound:
            return False
        if not got.name:
            raise malformed(self.principal, f"look up model {name}", "a model without a name")
        return True

    def create_model(self, name: UcName) -> None:
        """Create the registered model unless it exists.

        Raises:
            AccessDenied: CREATE MODEL is missing.
            ContainerNotFound: the schema does not exist.
        """
        with suppress(Conflict):  # another worker created it meanwhile
            self._settle(
                lambda: self._client.create_registered_model(str(name)),
                present=lambda: self.has_model(name),
                doing=f"create model {name}",
            )

    def delete(self, name: UcName, version: int) -> None:
        """Delete the version unless it is gone."""
        with suppress(NotFound):
            self._settle(
                lambda: self._client.delete_model_version(str(name), str(version)),
                present=lambda: not self._exists(name, version),
                doing=f"delete version {version} of {name}",
            )

    def number(self, name: UcName, made: "ModelVersion") -> int:
        """Return the version number in an answer.

        Raises:
            MalformedAnswer: the answer has no number.
        """
        if not _NUMBER.fullmatch(str(made.version)):
            raise malformed(
                self.principal, f"read a version of {name}", f"version {str(made.version)[:40]!r}"
            )
        return int(made.version)

    def _settle(
        self, send: Callable[[], object], *, present: Callable[[], bool], doing: str
    ) -> None:
        def act() -> None:
            with translated(self.principal, doing):
                send()

        settle(act, present=present, doing=doing, policy=self._policy)

    def _exists(self, name: UcName, version: int) -> bool:
        try:
            self._get(name, version)
        except NotFound:
            return False
        return True

    def _get(self, name: UcName, version: int) -> "ModelVersion":
        doing = f"look up version {version} of {name}"
        with translated(self.principal, doing):
            got = self._client.get_model_version(str(name), str(version))
        if self.number(name, got) != version:
            raise malformed(self.principal, doing, f"version {got.version}")
        return got
