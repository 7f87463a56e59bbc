"""One record under audit, with the documents and services that its checks read.

    case = Case(context, "executions/4x7k…/register/record.json")
    case.record.model.version

A property reads its source once. Where another check reports that a document cannot be read, a
property raises `Blocked` with that check's code.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from steps.audit.context import Context
from steps.audit.findings import Blocked
from steps.audit.kept import kept
from steps.audit.services.catalog import Version
from steps.audit.services.hashing import Archive
from steps.audit.services.jobs import Execution
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import WITHDRAWN_TAG, Record
from steps.governance.errors import IntegrityError, NotFound

_T = TypeVar("_T")
ENVELOPE = "register/record.dsse.json"
_UNFINISHED = ("Executing", "Stopping")


class Case:
    """One record. Its checks run in one thread."""

    def __init__(self, context: Context, key: str) -> None:
        self.context, self.key = context, key
        self.uri = context.uri(key)
        self.folder = key.removesuffix("/register/record.json")
        self.archive: Archive | None = None  # read once, for two checks

    @property
    def subject(self) -> str:
        """The model version, or the record's key where the record cannot be read."""
        try:
            model = self.record.model
        except Blocked:
            return self.key
        return f"{model.name}/{model.version}"

    def document(self, name: str) -> str:
        """Return the URI of a document in the execution's folder."""
        return self.context.uri(f"{self.folder}/{name}")

    def read(self, name: str) -> bytes:
        """Return a document's bytes."""
        return self.context.services.store.read(self.document(name))

    @kept
    def content(self) -> bytes:
        """The record's bytes as they are stored."""
        return self.context.document(self.key)

    @kept
    def envelope_content(self) -> bytes:
        """The bytes of the record's signed envelope as they are stored."""
        return self.read(ENVELOPE)

    @kept
    def record(self) -> Record:
        """The record."""
        return self._parsed(
            "record.document", lambda: Record.from_bytes(self.content, origin=self.uri)
        )

    @property
    def first_version(self) -> bool:
        """Whether the record is of version 1, which is not signed."""
        return self.record.schema_.endswith("/1")

    @property
    def prepare_manifest(self) -> str:
        """The name of Prepare's manifest."""
        return "prepare/manifest.json"

    @property
    def train_manifest(self) -> str:
        """The name of Train's manifest."""
        return f"train/{self.record.train.job_arn.rsplit('/', 1)[-1]}/manifest.json"

    @kept
    def prepared_content(self) -> bytes:
        """The bytes of Prepare's manifest; a record that used its examples again reads it too."""
        return self.context.document(f"{self.folder}/{self.prepare_manifest}")

    @kept
    def prepared(self) -> Prepared:
        """Prepare's manifest."""
        origin = self.document(self.prepare_manifest)
        return self._parsed(
            "prepare.manifest", lambda: Prepared.from_bytes(self.prepared_content, origin=origin)
        )

    @kept
    def trained_content(self) -> bytes:
        """The bytes of Train's manifest."""
        return self.read(self.train_manifest)

    @kept
    def trained(self) -> Trained:
        """Train's manifest."""
        origin = self.document(self.train_manifest)
        return self._parsed(
            "train.manifest", lambda: Trained.from_bytes(self.trained_content, origin=origin)
        )

    @kept
    def execution(self) -> Execution:
        """The execution as SageMaker has it."""
        return self.context.services.jobs.execution(self.record.execution.arn)

    @kept
    def training_job(self) -> Mapping[str, Any]:
        """The training job as SageMaker has it."""
        return self.context.services.jobs.training_job(self.record.train.job_arn)

    @kept
    def version(self) -> Version:
        """The model version as the registry has it."""
        model = self.record.model
        return self.context.services.registry.version(model.name, model.version)

    @kept
    def unfinished(self) -> bool:
        """Whether the execution still runs, so that Register may not have done everything."""
        return self._status in _UNFINISHED

    @kept
    def withdrawn(self) -> bool:
        """Whether Register gave up after the record and took the version back.

        The tag alone does not suffice: an execution that succeeded was never withdrawn.
        """
        tagged = WITHDRAWN_TAG in self.version.tags
        return tagged and self._status not in (*_UNFINISHED, "Succeeded")

    @property
    def incomplete(self) -> str | None:
        """Why steps after the record may be missing, or None if all of them must be there."""
        if self.unfinished:
            return "the execution still runs"
        return "the version was withdrawn" if self.withdrawn else None

    @property
    def _status(self) -> str:
        return str(self.execution.described["PipelineExecutionStatus"])

    def _parsed(self, code: str, parse: Callable[[], _T]) -> _T:
        try:
            return parse()
        except (IntegrityError, NotFound):
            raise Blocked(code) from None
