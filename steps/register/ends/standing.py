"""What is stored of a registration in the evidence and the registry, and how it is taken back.

    standing = Standing(workspace, facts, evidence, signing)
    record = standing.record(folder)
    standing.discard(callback, folder, check)             # without a record: nothing stays
    standing.withdraw(record, check)                      # with a record, without alias

A record is evidence and is never deleted, so a version with a record stays too. If its step was
answered with Failure, the tag `withdrawn` states it for each reader of the registry.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from steps.governance.documents.manifest import Trained
from steps.governance.documents.record import WITHDRAWN_TAG, Record
from steps.governance.errors import NotFound
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace
from steps.register.delivery.sagemaker_truth import Callback
from steps.register.fact_reader import FactReader
from steps.register.model_registry.registry import Registry
from steps.register.package.artifact import Artifact
from steps.register.register import read_record
from steps.register.signing import model_signature
from steps.register.signing.signing import Signing

WITHDRAWN = "its pipeline step was answered with Failure"


@dataclass(frozen=True)
class Standing:
    """The services that it is read from and taken back with."""

    workspace: Workspace
    facts: FactReader
    evidence: Evidence
    signing: Signing

    def within(self, seconds: float) -> Self:
        """The same, with a registry whose calls take at most so long."""
        policy = self.workspace.policy.within(seconds)
        return replace(self, workspace=replace(self.workspace, policy=policy))

    def record(self, folder: str) -> Record | None:
        """Return the record, or None if the model was not registered."""
        return read_record(self.evidence, folder)

    def trained(self, record: Record, folder: str) -> Trained:
        """Return Train's manifest of a registration, from the execution's own evidence."""
        job = record.train.job_arn.rsplit("/", 1)[-1]
        uri = f"{folder.rpartition('/')[0]}/train/{job}/manifest.json"
        return Trained.from_bytes(self.evidence.read(uri), origin=uri)

    def begun(self, folder: str) -> bool:
        """Whether a version may have been made: the signature of its files is stored before."""
        try:
            self.evidence.read(f"{folder}/{model_signature.NAME}")
        except NotFound:
            return False
        return True

    def discard(self, callback: Callback, folder: str, check: Callable[[], None]) -> None:
        """Delete every version of an execution that has no record; `check` goes before each.

        Raises:
            GovernanceError: a version may be left.
        """
        if not self.begun(folder):
            return
        pinned = Artifact.from_bytes(self.evidence.read(f"{folder}/artifact.json"))
        name = self.facts.execution(callback.execution_arn).name("ModelName")
        Registry(self.workspace).discard(name, pinned.source, check, ready_too=True)

    def is_published(self, record: Record) -> bool:
        """Whether the record's alias points at its version."""
        name = UcName.parse(record.model.name)
        registry = Registry(self.workspace)
        return registry.has_alias(name, record.model.alias, record.model.version)

    def withdraw(self, record: Record, check: Callable[[], None]) -> None:
        """Tag the version of a record unless somebody deleted it."""
        check()
        name, version = UcName.parse(record.model.name), record.model.version
        try:
            Registry(self.workspace).set_tag(name, version, key=WITHDRAWN_TAG, value=WITHDRAWN)
        except NotFound:
            return  # what is gone can be used by nobody
