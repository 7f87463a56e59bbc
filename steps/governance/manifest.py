"""The manifests of a step's output, which the next step verifies: `Prepared` and `Trained`.

A Delta version number is a pointer, not evidence (the bytes can change under it), so each manifest
lists every file with size and sha256. Both are canonical JSON (docs/architecture.md shows them),
written once and last: if a manifest exists, the output is complete. Parsing refuses unknown,
missing and repeated fields, and everything that `canonical.loads` refuses.
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
    """Parse canonical JSON strictly into `model`.

    Raises:
        ValueError: not canonical JSON of this model; the text names each fault with its field.
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
    """One file: path relative to the table or artifact root, size in bytes, sha256, row count."""

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
    """The table version that holds the rejected rows and their reasons."""

    table: str
    version: Count


class PreparedCounts(Part):
    """Counts of filings and examples; every filing that was read is kept or rejected.

    `ignored_fields` counts the kept filings whose optional field could not be used, by field and
    fault; None means that every optional field could be used.
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
    """The training data, bound to Prepare's manifest by the manifest's sha256."""

    table: str
    table_id: str
    version: Count
    manifest_sha256: Sha256
    examples_train: Count
    examples_eval: Count


class Mirror(Part):
    """`mirror.json` of a mirrored base model: each of its files with size and sha256.

    `licence` is there only where the model's own card names one, spelled as on the hub
    (apache-2.0).
    """

    name: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: Annotated[list[FileEntry], Field(min_length=1)]
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")] | None = None


class BaseModelFiles(Part):
    """The base model: name, 40-hex revision, sha256 of `mirror.json`, licence from that file."""

    name: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    mirror_sha256: Sha256
    licence: str | None = None


class Precision(Part):
    """The requested precision and the one that ran, so that a fallback to bf16 is visible."""

    requested: str
    effective: str
    dtype: str
    device: str


class TrainingMetrics(Part):
    """Losses in nats per target token, token counts, and optimizer steps.

    `steps` were done; the model is that of `best_step`, and `eval_loss` is its loss. Each
    interruption adds one step to `resumed_from`.
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
    """A complete document that is read and written as canonical JSON."""

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
        """Return the canonical bytes (RFC 8785); equal manifests have equal bytes."""
        return canonical.dumps(self.model_dump(exclude_none=True, by_alias=True))

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical bytes; later documents refer to this one by it."""
        return canonical.sha256(self.to_bytes())


class Prepared(Manifest):
    """Prepare's output: the raw version it read, the files it wrote, the rows it rejected."""

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
    """Train's output: its data, base model, precision, losses and files.

    `files` are those of the model archive (model.tar.gz). `merged` are those of the merged model in
    output.tar.gz, if one was requested.
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
    mlflow_run_id: str | None = None  # the run with the job's live metrics; None: not tracked
