"""Complete an answered registration, or remove what an ended one left unfinished.

    Completion(services, arguments, stop, delivery, callback).run()

`steps.reconcile` asks for it with a message that has `"reconcile": true`; a message is not trusted,
so everything is read again here, while this worker holds the execution's lease.

with a record      signature, ledger entry, lineage and missing tags are added, and the alias where
                   no version holds it and no later entry of the ledger is about it
either             versions that are PENDING_REGISTRATION, duplicate edges, and lineage nodes of
                   this execution that the record does not name are removed, READY versions never

A tag with another value, an alias that points elsewhere and a version that is gone are left as they
are: a person decides. An execution that runs again is not touched.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from steps.governance.documents.record import LedgerHead, Record
from steps.governance.errors import Conflict, IntegrityError, NotFound
from steps.governance.names import UcName
from steps.governance.signing.ledger_writer import Stored
from steps.governance.unity_catalog.lineage import Lineage
from steps.register import lineage_chain, run_record
from steps.register.arguments import Arguments
from steps.register.attempt import MAX_LEASE_SECONDS, evidence_folder
from steps.register.completion.lineage_removal import LineageRemoval
from steps.register.delivery.lease import Lease
from steps.register.delivery.lease_guard import Guard
from steps.register.delivery.queue import Delivery
from steps.register.delivery.sagemaker_truth import Callback, State
from steps.register.facts import Facts
from steps.register.model_registry.registry import Registry
from steps.register.package.artifact import Artifact
from steps.register.register import read_record
from steps.register.services import Services

log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3
_UNDER_WAY = ("Executing", "Stopping")


@dataclass(frozen=True)
class Completion:
    """One request to complete an answered step. `stop` is set when the worker must end."""

    services: Services
    arguments: Arguments
    stop: threading.Event
    delivery: Delivery
    callback: Callback

    def run(self) -> None:
        """Add what is missing and remove what is unfinished.

        Raises:
            LeaseHeld: another worker works on this execution.
            Conflict: the version of the record is gone, or is another one.
            GovernanceError: something could not be done; what was done stays.
        """
        seconds = min(self.arguments.visibility_seconds, MAX_LEASE_SECONDS)
        lease = Lease(self.arguments.region, folder=self._folder, seconds=seconds)
        guard = Guard(
            lease, self.stop, beat=self._keep_hidden, every_seconds=seconds / _BEATS_PER_LEASE
        )
        with lease, guard:
            if self.services.truth.execution_status(self.callback.execution_arn) in _UNDER_WAY:
                log.info("%s runs again: nothing is removed", self.callback.execution_id)
                return
            record = read_record(self.services.evidence, self._folder)
            if record is None:
                self._discard(guard.check)
            else:
                self._complete(record, guard.check)
            removal = LineageRemoval(self.services.workspace)
            kept = record.lineage.nodes if record else []
            removal.unfinished(self.callback.execution_id, kept, guard.check)

    def _complete(self, record: Record, guard: Callable[[], None]) -> None:
        services = self.services
        registry, name = Registry(services.workspace), UcName.parse(record.model.name)
        _require_version(registry, name, record)
        entry = services.signing.complete(services.evidence, self._folder, record, guard)
        registry.discard(name, record.model.source, guard)
        facts = services.facts.read(self.callback.execution_arn)
        _require_same(facts, record)
        lineage = Lineage(services.workspace)
        lineage_chain.draw(lineage, facts, model=name, version=record.model.version, guard=guard)
        LineageRemoval(services.workspace).duplicates(record, guard)
        self._tag(registry, record, facts, entry, guard=guard)
        if self.callback.state is State.SUCCEEDED and entry is not None:
            self._set_alias(registry, record, entry, guard)

    def _tag(
        self,
        registry: Registry,
        record: Record,
        facts: Facts,
        entry: Stored | None,
        *,
        guard: Callable[[], None],
    ) -> None:
        name, version = UcName.parse(record.model.name), record.model.version
        there = registry.tags(name, version)
        for key, value in _tags(record, facts, entry).items():
            if key not in there:
                guard()
                registry.set_tag(name, version, key=key, value=value)
            elif there[key] != value:
                log.warning("tag %s of version %d of %s was changed by hand", key, version, name)

    def _set_alias(
        self, registry: Registry, record: Record, entry: Stored, guard: Callable[[], None]
    ) -> None:
        name, model = UcName.parse(record.model.name), record.model
        if registry.alias_version(name, model.alias) is None and self._is_last(record, entry):
            guard()
            registry.set_alias(name, model.alias, model.version)

    def _is_last(self, record: Record, own: Stored) -> bool:
        """Whether no later entry of the ledger may be about the record's alias."""
        evidence, bucket = self.services.evidence, self.arguments.evidence_uri.rpartition("/")[0]
        head = LedgerHead(number=own.entry.number, sha256=own.sha256)
        for later in self.services.signing.ledger.after(head):
            if later.entry.kind != "registration":  # the role may not read approvals
                return False
            uri = f"{bucket}/{later.entry.document}"
            other = Record.from_bytes(evidence.read(uri), origin=uri)
            if (other.model.name, other.model.alias) == (record.model.name, record.model.alias):
                return False
        return True

    def _discard(self, guard: Callable[[], None]) -> None:
        try:
            pinned = Artifact.from_bytes(
                self.services.evidence.read(f"{self._folder}/artifact.json")
            )
        except NotFound:
            return  # nothing was begun
        name = self.services.facts.execution(self.callback.execution_arn).name("ModelName")
        Registry(self.services.workspace).discard(name, pinned.source, guard)

    @property
    def _folder(self) -> str:
        return evidence_folder(self.arguments, self.callback)

    def _keep_hidden(self) -> None:
        self.services.queue.keep_hidden(self.delivery)


def _require_version(registry: Registry, name: UcName, record: Record) -> None:
    """Require the record's version, made from the record's artifact, READY."""
    found = registry.find(name, record.model.source)
    if not any(each.version == record.model.version and each.ready for each in found):
        raise Conflict(
            f"version {record.model.version} of {name} is not what was recorded",
            expected=f"READY, made from {record.model.source}",
            got=", ".join(f"version {each.version} {each.status}" for each in found) or "nothing",
            do="find out who removed it; a recorded version is never made again",
        )


def _require_same(facts: Facts, record: Record) -> None:
    """Require that lineage and tags are made from the manifests that the record was made from."""
    recorded = (record.prepare.manifest_sha256, record.train.manifest_sha256)
    found = (facts.prepared_sha256, facts.trained_sha256)
    if recorded != found:
        raise IntegrityError(
            f"the manifests of {record.execution.arn} are not the recorded ones",
            expected=" ".join(recorded),
            got=" ".join(found),
            do="run `python -m pipeline.audit --all`",
        )


def _tags(record: Record, facts: Facts, entry: Stored | None) -> Mapping[str, str]:
    tags = run_record.tags(facts, key=record.key, artifact_sha256=record.artifact.sha256)
    tags[run_record.RECORD_TAG] = record.sha256
    if entry is not None:
        tags[run_record.LEDGER_TAG] = entry.tag
    return tags
