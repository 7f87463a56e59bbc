"""Train's manifest: what this job made, from which inputs, with which result."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import (
    Answer,
    BaseModelFiles,
    Prepared,
    Trained,
    TrainingData,
    TrainingMetrics,
)
from steps.governance.documents.reading import Build, Reading
from steps.train.arguments import Arguments
from steps.train.data.truncation import Lengths
from steps.train.fine_tuning.task import Tuned
from steps.train.tracking.tracker import LiveMetrics


@dataclass(frozen=True)
class Origin:
    """Where a tuned model comes from: the job and its code, and the data and base model that it
    verified.
    """

    arguments: Arguments
    prepared: Prepared
    base: BaseModelFiles
    training_job: str
    principal: str
    live_metrics: LiveMetrics
    build: Build
    reading: Reading | None  # None in processes that read no data, and write no manifest
    answer: Answer | None = None  # of the final files, once they were loaded again


def manifest(
    origin: Origin, tuned: Tuned, files: list[FileEntry], merged: list[FileEntry] | None
) -> Trained:
    """Return the manifest of a tuned model.

    Args:
        origin: the job and its inputs.
        tuned: the result of the fine-tune.
        files: the files of the model folder, without the manifest.
        merged: the files of the merged model, None where none was exported.
    """
    prepared = origin.prepared
    return Trained(
        schema="governed-finetune/trained/2",
        execution_arn=origin.arguments.execution_arn,
        training_job=origin.training_job,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        principal=origin.principal,
        data=TrainingData(
            table=prepared.target.table,
            table_id=prepared.target.table_id,
            version=prepared.target.version,
            manifest_sha256=prepared.sha256,
            examples_train=prepared.counts.examples_train,
            examples_eval=prepared.counts.examples_eval,
            affected=affected(tuned.lengths),
        ),
        base_model=origin.base,
        fp8=tuned.precision,
        metrics=_metrics(tuned),
        files=files,
        merged=merged,
        mlflow_run_id=origin.live_metrics.mlflow_run_id,
        mlflow_experiment_id=origin.live_metrics.mlflow_experiment_id,
        reading=origin.reading,
        build=origin.build,
        answer=origin.answer,
    )


def affected(lengths: Mapping[str, Lengths]) -> dict[str, dict[str, int]]:
    """Return by split how many examples did not fit a row, by reason."""
    return {
        split: dict(sorted(found.affected_documents.items()))
        for split, found in sorted(lengths.items())
    }


def _metrics(tuned: Tuned) -> TrainingMetrics:
    return TrainingMetrics(
        eval_loss_before=tuned.before.loss,
        eval_loss=tuned.best.evaluation.loss,
        eval_tokens=tuned.best.evaluation.tokens,
        train_tokens=tuned.history.tokens,
        steps=tuned.history.steps,
        best_step=tuned.best.step,
        stopped_early=tuned.stopped_early,
        resumed_from=tuned.history.resumed_from,
        evaluated=tuned.evaluated,
    )
