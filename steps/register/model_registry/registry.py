"""Model versions in Unity Catalog: exactly one per trained artifact, whatever was lost, repeated or done twice.

    version = Registry(workspace).ensure_version(name, source=artifact.source, tags=tags, build=build,
    guard=guard.check)

The registry has no idempotency token, and its search returns no tags. So the key is the version's `source`: the
artifact's URI with its S3 version id. Search before create; search again after it; of several READY ones the lowest
number is kept and the others are deleted.

PENDING_REGISTRATION   some of its files are missing: deleted, and another one is made [unverified on a live account]
READY                  the version, or a duplicate of it
anything else          never deleted: FAILED_REGISTRATION, a status of a later release, none at all. Where a READY version
                       exists too, that one counts. Where there is none, registering ends in `Conflict`, and a person decides

A creation whose answer was lost is searched by `source`; what is PENDING_REGISTRATION is deleted before another one is
made. The other calls are in `steps.register.model_registry.model_versions`.
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
from steps.governance.retrying import Attempts, pause_after
from steps.register.model_registry.mlflow_session import translated
from steps.register.model_registry.model_versions import PENDING, READY, ModelVersions

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_READY_WITHIN_SECONDS = 120.0
_POLL_SECONDS = 0.5


class Registry(ModelVersions):
    """Exactly one READY version for each source."""

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
            Conflict: a version of this source is neither READY nor PENDING_REGISTRATION.
            Unavailable: no version became READY within the attempts; the cause is what the last one met.
        """
        if not self.has_model(name):
            guard()
            self.create_model(name)
        for attempt in range(1, _ATTEMPTS + 1):
            self.discard(name, source, guard)
            met = None
            if not self._ready(name, source):
                met = self._create(name, source, tags=tags, build=build, guard=guard)
            if ready := self._ready(name, source):
                for extra in ready[1:]:
                    guard()
                    self.delete(name, extra)
                return ready[0]
            late = _not_ready(name, met)
            late.__cause__ = met
            if (
                attempt < _ATTEMPTS
            ):  # the pause has a budget of its own: an upload may take longer than any
                pause_after(late, Attempts(f"make a version of {name}", self._policy))
        raise late

    def _ready(self, name: UcName, source: str) -> list[int]:
        """The READY versions of `source`, the lowest number first.

        Raises:
            Conflict: there is none, but one with a status that we neither use nor delete.
        """
        found = self.find(name, source)
        odd = [entry for entry in found if not (entry.ready or entry.pending)]
        ready = [entry.version for entry in found if entry.ready]
        if odd and not ready:
            raise Conflict(
                f"version {odd[0].version} of {name} was made from this artifact and cannot be used",
                expected=f"status {READY}, or {PENDING} while it is made",
                got=f"status {odd[0].status}",
                do="look at the version in Catalog Explorer, delete it if nobody needs it, then start Register again",
            )
        return ready

    def discard(
        self, name: UcName, source: str, guard: Callable[[], None], *, ready_too: bool = False
    ) -> None:
        """Delete versions of `source`: those that are still PENDING_REGISTRATION, or the READY ones too."""
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

    def check_tags(self, name: UcName, version: int, expected: Mapping[str, str]) -> None:
        """Compare a version's tags with what they must be: the second witness that it is ours.

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
            except ContainerNotFound:
                raise  # another attempt would find no schema either
            except (Unavailable, NotFound) as error:
                log.warning("a version of %s was perhaps not made: %s", name, error)
                return error
        return self._await_ready(name, self.number(name, made))

    def _await_ready(self, name: UcName, version: int) -> GovernanceError | None:
        """An alias or an edge on a version that is not READY yet would fail."""
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


def _not_ready(name: UcName, met: GovernanceError | None) -> Unavailable:
    late = Unavailable(
        f"no version of {name} became READY",
        expected=f"READY within {_ATTEMPTS} attempts",
        got=met.what if met else "versions that were gone when they were looked up again",
    )
    return late.asking(met.retry_after_seconds if isinstance(met, Unavailable) else None)
