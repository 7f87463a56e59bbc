"""Make exactly one READY model version in Unity Catalog for each trained artifact.

    registry = Registry(workspace)
    version = registry.ensure_version(name, artifact.source, tags=tags, build=build, guard=guard)

Answers may be lost and deliveries repeated, the registry has no idempotency token, and its search
returns no tags. So a version is identified by its `source`: the artifact's URI with its S3 version
id. The registry is searched before a creation and after it. Of several READY versions the one with
the lowest number is kept, and the others are deleted.

status of a version     what happens to it
PENDING_REGISTRATION    some of its files are missing: it is deleted, and another version is made
                        [unverified on a live account]
READY                   it is used, or deleted as a duplicate
anything else           it is never deleted (FAILED_REGISTRATION, a status of a later release, no
                        status). If a READY version exists too, that one is used. Otherwise
                        registering ends in `Conflict`, and a person decides

If the answer to a creation was lost, the next search by `source` finds the version. The other calls
are in `steps.register.model_registry.model_versions`.
"""

import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from steps.governance.errors import (
    Conflict,
    ContainerNotFound,
    GovernanceError,
    NotFound,
    Unavailable,
)
from steps.governance.names import UcName
from steps.governance.unity_catalog.retrying import Attempts, pause_after
from steps.register.model_registry.mlflow_session import translated
from steps.register.model_registry.model_versions import PENDING, READY, ModelVersions
from steps.register.model_registry.uploads import forgotten

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_READY_WITHIN_SECONDS = 120.0  # after its creation
_POLL_SECONDS = 0.5


class Registry(ModelVersions):
    """Makes, deletes and checks versions by their source."""

    def ensure_version(
        self,
        name: UcName,
        source: str,
        *,
        tags: Mapping[str, str],
        build: Callable[[Path], Mapping[str, str]],
        guard: Callable[[], None],
    ) -> int:
        """Return the number of the one READY version made from `source`.

        Args:
            name: the registered model; it is created if it does not exist.
            source: identifies the content.
            tags: given to the version as it is created.
            build: writes the mlflow model into a folder that does not exist yet, and returns
                further tags, which name its files.
            guard: called before each effect; raises if the worker must not act any more.

        Raises:
            AccessDenied: CREATE MODEL or CREATE MODEL VERSION is missing, or no upload is allowed.
            Conflict: a version of this source is neither READY nor PENDING_REGISTRATION.
            Unavailable: no version became READY within the attempts.
        """
        if not self.has_model(name):
            guard()
            self.create_model(name)
        for attempt in range(1, _ATTEMPTS + 1):
            self.discard(name, source, guard)
            error = None
            if not self._ready(name, source):
                error = self._create(name, source, tags=tags, build=build, guard=guard)
            if ready := self._ready(name, source):
                self._delete_all(name, ready[1:], guard)
                return ready[0]
            late = _not_ready(name, error)
            if attempt < _ATTEMPTS:
                # A budget for the pause alone: an upload may take longer than a call's budget.
                pause_after(late, Attempts(f"make a version of {name}", self._policy))
        raise late

    def _delete_all(self, name: UcName, versions: list[int], guard: Callable[[], None]) -> None:
        for version in versions:
            guard()
            self.delete(name, version)

    def _ready(self, name: UcName, source: str) -> list[int]:
        """Return the READY versions of `source`, the lowest number first.

        Raises:
            Conflict: no version is READY, and one has a status that we neither use nor delete.
        """
        found = self.find(name, source)
        odd = [entry for entry in found if not (entry.ready or entry.pending)]
        ready = [entry.version for entry in found if entry.ready]
        if odd and not ready:
            raise Conflict(
                f"version {odd[0].version} of {name} was made from this artifact "
                "and cannot be used",
                expected=f"status {READY}, or {PENDING} while it is made",
                got=f"status {odd[0].status}",
                do="look at the version in Catalog Explorer, delete it if nobody needs it, "
                "then start Register again",
            )
        return ready

    def discard(
        self, name: UcName, source: str, guard: Callable[[], None], *, ready_too: bool = False
    ) -> None:
        """Delete the PENDING_REGISTRATION versions of `source`, and on request the READY ones."""
        for found in self.find(name, source):
            if found.pending or (ready_too and found.ready):
                guard()
                self.delete(name, found.version)
            elif not found.ready:
                log.warning(
                    "version %d of %s has status %s and is left there",
                    found.version,
                    name,
                    found.status,
                )

    def check_tags(
        self, name: UcName, version: int, expected: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return a version's tags, if the expected ones are among them.

        Only this registration gives those.

        Raises:
            Conflict: another process made or changed this version.
        """
        got = self.tags(name, version)
        differing = sorted(key for key, value in expected.items() if got.get(key) != value)
        if differing:
            raise Conflict(
                f"version {version} of {name} is not ours",
                expected=str({key: expected[key] for key in differing})[:300],
                got=str({key: got.get(key) for key in differing})[:300],
                do="find out who changed it; delete the version and send the message again",
            )
        return got

    def _create(
        self,
        name: UcName,
        source: str,
        *,
        tags: Mapping[str, str],
        build: Callable[[Path], Mapping[str, str]],
        guard: Callable[[], None],
    ) -> GovernanceError | None:
        """Create a version, upload its files, finalize it.

        If no answer came, the error is logged and returned. The version may exist nevertheless, so
        the caller searches again.
        """
        with forgotten(), tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            given = {**tags, **build(folder)}
            guard()
            try:
                with translated(self.principal, f"create a version of {name}"):
                    # The public create_model_version would download `source` again;
                    # this one takes the files from `folder`.
                    made = self._client._create_model_version(
                        name=str(name),
                        source=source,
                        tags=given,
                        local_model_path=str(folder),
                        await_creation_for=0,
                    )
            except ContainerNotFound:
                raise  # another attempt would find no schema either
            except (Unavailable, NotFound) as error:
                log.warning("a version of %s was perhaps not made: %s", name, error)
                return error
        return self._await_ready(name, self.number(name, made))

    def _await_ready(self, name: UcName, version: int) -> GovernanceError | None:
        """Wait until the version is READY: an alias or a lineage edge would fail before."""
        clock = self._policy.clock
        deadline = clock.monotonic() + _READY_WITHIN_SECONDS
        while (status := self.status(name, version)) == PENDING:
            if clock.monotonic() >= deadline:
                late = Unavailable(
                    f"version {version} of {name} is {status} after {_READY_WITHIN_SECONDS:.0f} s"
                )
                log.warning("%s", late)
                return late
            clock.sleep(_POLL_SECONDS)
        return None


def _not_ready(name: UcName, cause: GovernanceError | None) -> Unavailable:
    late = Unavailable(
        f"no version of {name} became READY",
        expected=f"READY within {_ATTEMPTS} attempts",
        got=cause.what if cause else "versions that were gone when they were looked up again",
    )
    late.__cause__ = cause
    return late.asking(cause.retry_after_seconds if isinstance(cause, Unavailable) else None)
