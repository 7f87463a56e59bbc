"""Model versions in Unity Catalog: exactly one per trained artifact, whatever was lost, repeated or done twice.

    version = Registry(workspace).ensure_version(name, source=artifact.source, tags=tags, build=build,
    guard=guard.check)

The registry has no idempotency token, and its search returns no tags. So the key is the version's `source`: the
artifact's URI with its S3 version id. Search before create; search again after it; of several the lowest number stays
and the others are deleted. A version that is still PENDING has an unknown part of its files: it is deleted and made
anew. [unverified on a live account: deleting PENDING]
"""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steps.governance.errors import Conflict, GovernanceError, NotFound, Unavailable
from steps.governance.identity import Workspace
from steps.governance.names import UcName
from steps.register.mlflow_session import mlflow_client, translated

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_READY_WITHIN_SECONDS = 120.0
_POLL_SECONDS = 0.5
_READY = "READY"
_PAGE = 100  # versions per search; mlflow's own 10,000 is more than a server need accept


@dataclass(frozen=True)
class Found:
    """A version with our source, as the search lists it."""

    version: int
    ready: bool


class Registry:
    """Versions, tags and aliases, as one principal."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal = workspace.principal
        self._client: MlflowClient = mlflow_client(workspace)

    def ensure_version(
        self,
        name: UcName,
        source: str,
        *,
        tags: Mapping[str, str],
        build: Callable[[Path], None],
        guard: Callable[[], None],
    ) -> int:
        """The number of the one READY version made from `source`.

        Args:
            name: the registered model; created where it does not exist.
            source: what identifies the content.
            tags: given to the version as it is created.
            build: writes the mlflow model into a folder that does not exist yet.
            guard: called before each effect; raises if the worker must not act any more.

        Raises:
            AccessDenied: CREATE MODEL or CREATE MODEL VERSION is missing, or the storage refused the upload.
            Unavailable: no version became READY within the attempts; the cause is what the last one met.
        """
        self._ensure_model(name, guard)
        met: GovernanceError | None = None
        for _ in range(_ATTEMPTS):
            self.discard(name, source, guard)
            if not any(found.ready for found in self.find(name, source)):
                met = self._create(name, source, tags=tags, build=build, guard=guard) or met
            ready = [found.version for found in self.find(name, source) if found.ready]
            if ready:
                for extra in ready[1:]:
                    guard()
                    self._delete(name, extra)
                return ready[0]
        raise Unavailable(
            f"no version of {name} became READY",
            expected=f"READY within {_ATTEMPTS} attempts",
            got=met.what if met else "versions that were gone when they were looked up again",
        ) from met

    def find(self, name: UcName, source: str) -> list[Found]:
        """Every version made from `source`, the lowest number first."""
        found, token = [], None
        while True:
            try:
                with translated(self.principal, f"search versions of {name}"):
                    page = self._client.search_model_versions(f"name='{name}'", max_results=_PAGE, page_token=token)
            except NotFound:  # no such model, so no versions
                return []
            found += [Found(int(entry.version), entry.status == _READY) for entry in page if entry.source == source]
            token = page.token
            if not token:
                return sorted(found, key=lambda entry: entry.version)

    def discard(self, name: UcName, source: str, guard: Callable[[], None], *, ready_too: bool = False) -> None:
        """Delete versions of `source`: those that never became READY, or all of them."""
        for found in self.find(name, source):
            if ready_too or not found.ready:
                guard()
                self._delete(name, found.version)

    def check_tags(self, name: UcName, version: int, expected: Mapping[str, str]) -> None:
        """Compare a version's tags with what they must be: the second witness that it is ours.

        Raises:
            Conflict: another process made or changed this version.
        """
        got = self._get(name, version).tags
        differing = sorted(key for key, value in expected.items() if got.get(key) != value)
        if differing:
            raise Conflict(
                f"version {version} of {name} is not ours",
                expected=str({key: expected[key] for key in differing})[:300],
                got=str({key: got.get(key) for key in differing})[:300],
                do="find out who changed it; delete the version and send the message again",
            )

    def set_tag(self, name: UcName, version: int, *, key: str, value: str) -> None:
        """Set one tag; setting it again changes nothing."""
        with translated(self.principal, f"tag version {version} of {name}"):
            self._client.set_model_version_tag(str(name), str(version), key, value)

    def set_alias(self, name: UcName, alias: str, version: int) -> None:
        """Let `alias` point at the version. Only the model's owner may: whoever created it.

        Raises:
            AccessDenied: the model belongs to somebody else.
        """
        with translated(self.principal, f"set alias {alias} of {name} (only the model's owner may)"):
            self._client.set_registered_model_alias(str(name), alias, str(version))

    def has_alias(self, name: UcName, alias: str, version: int) -> bool:
        """Whether `alias` points at the version."""
        try:
            with translated(self.principal, f"look up alias {alias} of {name}"):
                return int(self._client.get_model_version_by_alias(str(name), alias).version) == version
        except NotFound:
            return False

    def _ensure_model(self, name: UcName, guard: Callable[[], None]) -> None:
        try:
            with translated(self.principal, f"look up model {name}"):
                self._client.get_registered_model(str(name))
        except NotFound:
            guard()
            try:
                with translated(self.principal, f"create model {name}"):
                    self._client.create_registered_model(str(name))
            except Conflict:  # another worker created it, or our own answer was lost
                return

    def _create(
        self,
        name: UcName,
        source: str,
        *,
        tags: Mapping[str, str],
        build: Callable[[Path], None],
        guard: Callable[[], None],
    ) -> GovernanceError | None:
        """Create, upload, finalize. Where no answer came, what was met instead is logged and returned: only the caller's
        next search tells what happened."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            build(folder)
            guard()
            try:
                with translated(self.principal, f"create a version of {name}"):
                    # The public create_model_version would download `source` again; this one takes the files from `folder`.
                    made = self._client._create_model_version(
                        name=str(name),
                        source=source,
                        tags=dict(tags),
                        local_model_path=str(folder),
                        await_creation_for=0,
                    )
            except (Unavailable, NotFound) as error:
                log.warning("a version of %s was perhaps not made: %s", name, error)
                return error
        return self._await_ready(name, int(made.version))

    def _await_ready(self, name: UcName, version: int) -> GovernanceError | None:
        """An alias or an edge on a version that is not READY yet would fail."""
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while (status := self._get(name, version).status) != _READY:
            if time.monotonic() >= deadline:
                late = Unavailable(f"version {version} of {name} is {status} after {_READY_WITHIN_SECONDS:.0f} s")
                log.warning("%s", late)
                return late
            time.sleep(_POLL_SECONDS)
        return None

    def _get(self, name: UcName, version: int) -> "ModelVersion":
        with translated(self.principal, f"look up version {version} of {name}"):
            return self._client.get_model_version(str(name), str(version))

    def _delete(self, name: UcName, version: int) -> None:
        try:
            with translated(self.principal, f"delete version {version} of {name}"):
                self._client.delete_model_version(str(name), str(version))
        except NotFound:
            return
