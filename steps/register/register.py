"""Register one trained model: evidence first, the answer last, every step safe to repeat.

    registered = Registration(facts, folder, region, guard, …).run(workspace)

    pin       write down the artifact's S3 version, which a repeated delivery then reads
    verify    check the archive against Train's manifest, member by member, and the adapter against
              its base model's configuration
    rights    ask whether this principal may set the model's aliases
    sign      sign the adapter's files; without this signature no version was ever made
    version   find or make one READY model version
    lineage   raw table → prepare job → curated table → training job → model version
    record    write the evidence, once
    enter     sign the record, then append it to the ledger
    page      write the page that shows the record, once
    publish   tag the version with the record's sha256 and its ledger entry, then set the alias

The alias comes last, so it never points at a version without a signed record. A ledger that was
changed stops the registration before anything is written. The caller then answers the
pipeline. After a crash between any two lines the next delivery continues; the reasons for this
order are in docs/decisions/007-order-of-effects.md.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steps.governance.documents.manifest import Trained
from steps.governance.documents.record import ModelFacts, Record, RegisterFacts, effect_key
from steps.governance.errors import Conflict, NotFound
from steps.governance.evidence import Evidence
from steps.governance.signing.ledger_writer import Stored
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import Lineage
from steps.register import lineage_chain, run_record
from steps.register.facts import Facts
from steps.register.model_registry.registry import Registry
from steps.register.package import base_model, model_package
from steps.register.package.adapter_files import check_adapter
from steps.register.package.artifact import Artifact, ArtifactStore, Unpacked
from steps.register.package.base_model import BaseModel
from steps.register.package.version_files import file_tags, recorded_files
from steps.register.page import written
from steps.register.page.links import Links
from steps.register.signing.model_signature import NAME, write_model_signature
from steps.register.signing.signing import Signing

STEP = "register"


@dataclass(frozen=True)
class Registered:
    """The outputs of the pipeline's step, and the key of the registration (64 hex digits)."""

    key: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class Registration:
    """The Register step of one execution.

    `folder` is the URI of its evidence. `guard` is called before each effect and raises if the
    worker must not act any more. `confirm` asks SageMaker whether the execution is being stopped,
    and raises if it is: before and after the version is made, before the record is written (from
    then on the version stays) and before the alias is set. `worker` is this process's code,
    `signing` its key and the ledger.
    """

    facts: Facts
    folder: str
    region: str
    guard: Callable[[], None]
    confirm: Callable[[], None]
    worker: RegisterFacts
    signing: Signing

    def run(self, workspace: Workspace) -> Registered:
        """Do what is not done yet, and return the outcome.

        Raises:
            GovernanceError: a step could not be done; its class decides whether it is tried again.
        """
        registry, evidence = Registry(workspace), Evidence(self.region)
        record = read_record(evidence, self.folder) or self._register(workspace, registry, evidence)
        entry = self.signing.complete(evidence, self.folder, record, self.guard)
        links = Links(workspace.host, self.region, self.folder)
        self.guard()
        store = ArtifactStore(self.region)
        report = lambda: store.report(self._pinned(store, evidence))  # noqa: E731
        written.ensure(evidence, links, record, self.facts, report=report)
        self._publish(registry, record, entry)
        return registered(record, links, self.facts.trained)

    def _register(self, workspace: Workspace, registry: Registry, evidence: Evidence) -> Record:
        run_record.require_complete(self.facts)
        run_record.require_described(self.facts)
        head = self.signing.ledger.head()  # a ledger that was changed takes no entry
        store = ArtifactStore(self.region)
        artifact = self._pinned(store, evidence)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "adapter"
            folder.mkdir()
            base = base_model.read(store, self.facts.training_job, self.facts.trained.base_model)
            unpacked = store.unpack(artifact, self.facts.trained, folder)
            check_adapter(folder, unpacked.files, base)
            key = effect_key(self.facts.execution.arn, STEP, unpacked.sha256)
            tags = run_record.tags(self.facts, key=key, artifact_sha256=unpacked.sha256)
            self.guard()
            registry.require_alias_right(self.facts.execution.name("ModelName"))
            self._sign_model(evidence, unpacked)
            model = self._version(registry, base, artifact, unpacked=unpacked, tags=tags)
        self.confirm()  # making the version took long, and lineage must not lead to an undone one
        lineage = lineage_chain.draw(
            Lineage(workspace),
            self.facts,
            model=self.facts.execution.name("ModelName"),
            version=model.version,
            guard=self.guard,
        )
        done = run_record.Done(
            key=key,
            artifact=run_record.artifact_facts(artifact, unpacked),
            model=model,
            lineage=lineage,
            principals=run_record.principals(workspace.principal, self.region),
            worker=self.worker,
            ledger=head,
        )
        record = run_record.compose(self.facts, done)
        self.confirm()
        self.guard()
        return write_record(evidence, self.folder, record)

    def _pinned(self, store: ArtifactStore, evidence: Evidence) -> Artifact:
        """Return the version of the artifact that the first delivery saw.

        An object that replaces it later is not read.
        """
        uri = f"{self.folder}/artifact.json"
        try:
            return Artifact.from_bytes(evidence.read(uri))
        except NotFound:
            artifact = store.pin(self.facts.training_job["ModelArtifacts"]["S3ModelArtifacts"])
        self.guard()
        try:
            evidence.write_once(uri, artifact.to_bytes())
        except Conflict:  # another worker pinned first
            return Artifact.from_bytes(evidence.read(uri))
        return artifact

    def _sign_model(self, evidence: Evidence, unpacked: Unpacked) -> None:
        """Sign the adapter's files; the signature is evidence, and part of the version."""
        self.guard()
        content = write_model_signature(
            evidence,
            f"{self.folder}/{NAME}",
            unpacked.files,
            name=str(self.facts.execution.name("ModelName")),
            signer=self.signing.signer,
        )
        unpacked.folder.with_name(NAME).write_bytes(content)

    def _version(
        self,
        registry: Registry,
        base: BaseModel,
        artifact: Artifact,
        *,
        unpacked: Unpacked,
        tags: dict[str, str],
    ) -> ModelFacts:
        name = self.facts.execution.name("ModelName")

        def build(target: Path) -> dict[str, str]:
            model_package.build(
                target, adapter=unpacked.folder, base_model=base.description, metadata=tags
            )
            return file_tags(target)

        self.confirm()
        version = registry.ensure_version(
            name, artifact.source, tags=tags, build=build, guard=self.guard
        )
        files = recorded_files(registry.check_tags(name, version, tags))
        return run_record.model_facts(
            self.facts, version=version, source=artifact.source, files=files
        )

    def _publish(self, registry: Registry, record: Record, entry: Stored | None) -> None:
        name, version = self.facts.execution.name("ModelName"), record.model.version
        registry.check_tags(name, version, {run_record.KEY_TAG: record.key})
        self.confirm()
        self.guard()
        registry.set_tag(name, version, key=run_record.RECORD_TAG, value=record.sha256)
        if entry is not None:
            self.guard()
            registry.set_tag(name, version, key=run_record.LEDGER_TAG, value=entry.tag)
        self.guard()
        registry.set_alias(name, record.model.alias, version)


def registered(record: Record, links: Links, trained: Trained) -> Registered:
    """Return the outcome that the step is answered with."""
    name, version = record.model.name, record.model.version
    outputs = {
        "model_version": str(version),
        "model_uri": f"models:/{name}/{version}",
        "record_uri": record_uri(links.folder),
        **links.outputs(name, version, trained),
    }
    return Registered(record.key, outputs)


def record_uri(folder: str) -> str:
    """Return the URI of an execution's record."""
    return f"{folder}/record.json"


def read_record(evidence: Evidence, folder: str) -> Record | None:
    """Return the record of an execution that was registered before, else None."""
    uri = record_uri(folder)
    try:
        return Record.from_bytes(evidence.read(uri), origin=uri)
    except NotFound:
        return None


def write_record(evidence: Evidence, folder: str, record: Record) -> Record:
    """Write the record unless another worker wrote it first, and return the stored one.

    Raises:
        Conflict: the stored record is of another registration.
    """
    uri = record_uri(folder)
    with suppress(Conflict):
        evidence.write_once(uri, record.to_bytes())
    stored = Record.from_bytes(evidence.read(uri), origin=uri)
    if (stored.key, stored.model) != (record.key, record.model):
        raise Conflict(
            f"{uri} is the record of another registration",
            expected=f"{record.model.name} version {record.model.version}, key {record.key}",
            got=f"{stored.model.name} version {stored.model.version}, key {stored.key}",
            do="find out who wrote it; evidence is never overwritten",
        )
    return stored
