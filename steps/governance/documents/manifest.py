"""The manifests of a step's output, which the next step verifies: `Prepared` and `Trained`.

A Delta version number is a pointer, not evidence (the bytes can change under it), so each manifest
lists every file with size and sha256. Both are canonical JSON (docs/architecture.md shows them),
written once and last: if a manifest exists, the output is complete.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from steps.governance.documents.document import (
    Count,
    FileEntry,
    Manifest,
    Part,
    Sha256,
    require_fields,
)
from steps.governance.documents.evaluated import Evaluated
from steps.governance.documents.precision import Precision
from steps.governance.documents.reading import Build, Reading


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
    fault; None means that every optional field could be used. `scrubbed` counts the items of
    personal data that placeholders replaced in the examples, by kind; None means none.
    `headings_by_style` counts the headings of the examples (`steps/prepare/filings/measures.py`).
    `rejected_by_style` those of rejected examples, `families_by_size` families by their examples.
    `examples_by_template` counts the examples; None: all are of the manifest's one template.
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
    scrubbed: dict[str, Count] | None = None
    headings_by_style: dict[str, Count] | None = None
    rejected_by_style: dict[str, Count] | None = None
    families_by_size: dict[str, Count] | None = None
    examples_by_template: dict[str, Count] | None = None


class ContractCheck(Part):
    """One check of Prepare's data contract: the number found, and the bounds that it is within."""

    name: str
    found: float
    least: float
    most: float


class Contract(Part):
    """The checks before the curated commit; all hold, since nothing is committed otherwise.

    `compared_with` is the version of the curated table whose run the numbers were compared with;
    None for the first run.
    """

    compared_with: Count | None = None
    checks: list[ContractCheck]


class Reused(Part):
    """The execution whose examples are used again, and the sha256 of its Prepare manifest."""

    execution_arn: str
    manifest_sha256: Sha256


class TrainingData(Part):
    """The training data, bound to Prepare's manifest by the manifest's sha256.

    `affected` counts by split the examples that did not fit a row, by reason: `prompt_cut` (kept
    without the end of the prompt), `completion_too_long` and `completion_empty` (dropped). Older
    manifests have None.
    """

    table: str
    table_id: str
    version: Count
    manifest_sha256: Sha256
    examples_train: Count
    examples_eval: Count
    affected: dict[str, dict[str, Count]] | None = None


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


class TrainingMetrics(Part):
    """Losses in nats per target token, token counts, and optimizer steps.

    `steps` were done; the model is that of `best_step`, and `eval_loss` is its loss. Each
    interruption adds one step to `resumed_from`. Older documents have no `evaluated`.
    """

    eval_loss_before: float
    eval_loss: float
    eval_tokens: Count
    train_tokens: Count
    steps: Count
    best_step: Count
    stopped_early: bool
    resumed_from: list[Count]
    evaluated: Evaluated | None = None


class Answer(Part):
    """What the published files answered to one held-out prompt, before they were published.

    `sha256` is that of the answer's text, which the report has. `same_tokens` is false where the
    answer differs from the report's by a token that is as likely.
    """

    example_id: str
    sha256: Sha256
    tokens: Count
    same_tokens: bool


class Prepared(Manifest):
    """Prepare's output: the raw version it read, the files it wrote, the rows it rejected.

    Since version 2: `raw_files` are the raw version's data files with the sha256 of the bytes that
    were read; `membership` is the Parquet file next to the manifest that lists each filing which
    gave examples (`steps.governance.documents.membership`); `reading` records who allowed it.
    `contract` is None where an older build made the manifest, and so is `settings`: the arguments
    that decide the examples (`steps.prepare.contract.settings`). Where the examples of an earlier
    execution are used again, `reused` names it, everything about them is as in its manifest, and
    `principal`, `reading` and `build` are of the verification.
    """

    schema_: Literal["governed-finetune/prepared/1", "governed-finetune/prepared/2"] = Field(
        alias="schema"
    )
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
    raw_files: list[FileEntry] | None = None
    membership: FileEntry | None = None
    reading: Reading | None = None
    build: Build | None = None
    spark_version: str | None = None
    contract: Contract | None = None
    settings: dict[str, str] | None = None
    reused: Reused | None = None

    @property
    def written_by(self) -> str:
        """The ARN of the execution that wrote the examples: this one, or the reused one."""
        return self.reused.execution_arn if self.reused else self.execution_arn

    @model_validator(mode="after")
    def _of_its_version(self) -> Self:
        names = ("raw_files", "membership", "reading", "build", "spark_version")
        require_fields(self, names, present=not self.schema_.endswith("/1"))
        return self


class Trained(Manifest):
    """Train's output: its data, base model, precision, losses and files.

    `answer` is what the final files answered when they were loaded again (None in older manifests).
    `files` are those of the model archive (model.tar.gz). `merged` are those of the merged model in
    output.tar.gz, if one was requested. Since version 2: `reading` records who allowed it.
    """

    schema_: Literal["governed-finetune/trained/1", "governed-finetune/trained/2"] = Field(
        alias="schema"
    )
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
    mlflow_experiment_id: str | None = None  # the run's experiment; None in older manifests
    reading: Reading | None = None
    build: Build | None = None
    answer: Answer | None = None

    @model_validator(mode="after")
    def _of_its_version(self) -> Self:
        require_fields(self, ("reading", "build"), present=not self.schema_.endswith("/1"))
        return self
