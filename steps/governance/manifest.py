"""What a step left behind, in a form the next step can verify: `Prepared` and `Trained`.

A Delta version number is a pointer, not evidence (bytes can change under it), so each manifest names every file with
size and sha256. Both are canonical JSON (docs/architecture.md shows them), written once and last: a manifest's presence
means the output is complete. Unknown, missing and repeated fields are refused, and all that `canonical.loads` refuses.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steps.governance import canonical
from steps.governance.errors import IntegrityError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
_Model = TypeVar("_Model", bound=BaseModel)


class Part(BaseModel):
    """Strict and frozen: unknown fields and other types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def validated(model: type[_Model], content: bytes) -> _Model:
    """A document that every reader reads alike, in the shape of `model`.

    Raises:
        ValueError: it is not; the text names each fault with its place.
    """
    canonical.loads(content)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ValueError("; ".join(faults)) from None


class FileEntry(Part):
    """One file: its path relative to the table or artifact root, its size in bytes and its sha256."""

    path: str
    size: Count
    sha256: Sha256
    rows: Count | None = None


class TableVersion(Part):
    """A Unity Catalog table at one Delta version."""

    table: str
    table_id: str
    location: str
    version: Count
    partition: str | None = None


class RejectedVersion(Part):
    """Where the dropped rows and their reasons lie."""

    table: str
    version: Count


class PreparedCounts(Part):
    """Filings in, filings out, examples made; every filing read is kept or rejected.

    `ignored_fields` counts the kept filings whose optional field could not be used, by field and fault; None: there are none.
    """

    filings_read: Count
    filings_kept: Count
    filings_rejected: Count
    examples_train: Count
    examples_eval: Count
    examples_rejected: Count
    companies_train: Count
    companies_eval: Count
    rejected_by_reason: dict[str, Count]
    ignored_fields: dict[str, Count] | None = None


class TrainingData(Part):
    """The data a model was trained on, bound to Prepare's manifest by its sha256."""

    table: str
    table_id: str
    version: Count
    manifest_sha256: Sha256
    examples_train: Count
    examples_eval: Count


class Mirror(Part):
    """`mirror.json` beside a mirrored base model: each of its files with size and sha256.

    `licence` is there only where the model's own card names one, spelled as on the hub (apache-2.0).
    """

    name: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: Annotated[list[FileEntry], Field(min_length=1)]
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")] | None = None


class BaseModelFiles(Part):
    """The base model: its name, its 40-hex revision, the sha256 of its `mirror.json` and the licence that this states."""

    name: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    mirror_sha256: Sha256
    licence: str | None = None


class Precision(Part):
    """What was asked for, and what really ran: FP8 that silently became bf16 would be a defect."""

    requested: str
    effective: str
    dtype: str
    device: str


class TrainingMetrics(Part):
    """Losses in nats per target token, token counts, optimizer steps: done, of the best evaluation, resumed from.

    The model is that of `best_step`, and `eval_loss` is its loss. Each interruption adds one step to `resumed_from`.
    """

    eval_loss_before: float
    eval_loss: float
    eval_tokens: Count
    train_tokens: Count
    steps: Count
    best_step: Count
    stopped_early: bool
    resumed_from: list[Count]


class Manifest(Part):
    """A whole document: canonical bytes out, and only whole documents in."""

    @classmethod
    def from_bytes(cls, content: bytes, *, origin: str) -> Self:
        """Parse a manifest read from `origin`.

        Raises:
            IntegrityError: not a complete manifest of this schema.
        """
        try:
            return validated(cls, content)
        except ValueError as error:
            raise IntegrityError(
                f"the manifest at {origin} cannot be trusted",
                expected=f"a complete {cls.__name__} manifest",
                got=str(error)[:500],
                do="run the step that writes it again; never edit it",
            ) from None

    def to_bytes(self) -> bytes:
        """The canonical bytes (RFC 8785); equal manifests have equal bytes."""
        return canonical.dumps(self.model_dump(exclude_none=True, by_alias=True))

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical bytes, by which later documents refer to this one."""
        return canonical.sha256(self.to_bytes())


class Prepared(Manifest):
    """What Prepare committed: which raw version it read, which curated files it wrote, what it dropped and why."""

    schema_: Literal["governed-finetune/prepared/1"] = Field(alias="schema")
    execution_arn: str
    created_at: str
    principal: str
    source: TableVersion
    target: TableVersion
    rejected: RejectedVersion
    files: list[FileEntry]
    schema_sha256: Sha256
    template: str
    counts: PreparedCounts


class Trained(Manifest):
    """What Train made: from which data and base model, at which precision, with which losses, file by file.

    `files` are those of the model archive; `merged`, where a merged model was asked for, those beside it (output.tar.gz).
    """

    schema_: Literal["governed-finetune/trained/1"] = Field(alias="schema")
    execution_arn: str
    training_job: str
    created_at: str
    principal: str
    data: TrainingData
    base_model: BaseModelFiles
    fp8: Precision
    metrics: TrainingMetrics
    files: list[FileEntry]
    merged: list[FileEntry] | None = None
    mlflow_run_id: str | None = None  # where the job's live metrics are; None: nowhere
