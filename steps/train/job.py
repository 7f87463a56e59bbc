"""The whole step, from Prepare's manifest to Train's.

    train(arguments, paths, connect(arguments), training_job=name, stop=StopSignal.listen())

What can be refused is refused before torch is imported, let alone a step taken.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.train.arguments import Arguments
from steps.train.paths import Paths
from steps.train.stopping import StopSignal

if TYPE_CHECKING:
    import pyarrow as pa

    from steps.governance.manifest import BaseModelFiles, Prepared, Trained
    from steps.train.fine_tune import Tuned
    from steps.train.tracking import Tracker


@dataclass(frozen=True)
class Services:
    """What lies outside this process: the catalog, as our principal, and the evidence bucket."""

    catalog: Any
    evidence: Any
    workspace: Any


def connect(arguments: Arguments) -> Services:
    """Prove our identity to the workspace."""
    from steps.governance.catalog import Catalog
    from steps.governance.evidence import Evidence
    from steps.governance.identity import connect

    host, secret_id, region = arguments.databricks_host, arguments.databricks_secret_id, arguments.region
    workspace = connect(host=host, secret_id=secret_id, region=region)
    return Services(Catalog(workspace), Evidence(region), workspace)


def train(arguments: Arguments, paths: Paths, services: Services, *, training_job: str, stop: StopSignal) -> None:
    """The whole step. Nothing stands in the model folder unless all of it does."""
    from steps.train import corpus, lean, tracking
    from steps.train.chat import Chat

    given = _verified(arguments, paths, services, stop)
    lean.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
    with (
        tempfile.TemporaryDirectory() as scratch,  # governed text as tokens: gone when the job ends
        tracking.tracked(arguments, services.workspace, training_job=training_job, prepared=given.prepared) as tracker,
    ):
        examples = corpus.build(
            stop.during(given.batches),
            Chat(paths.base_model),
            Path(scratch),
            row_tokens=arguments.sequence_length,
            seed=arguments.seed,
        )
        from steps.train.fine_tune import Clock, Task, fine_tune

        task = Task(arguments, paths.base_model, examples, paths.checkpoints, given.digests, tracker)
        tuned = fine_tune(task, stop=stop, clock=Clock())
        tracker.log(tuned.history.steps, {"best_eval_loss": tuned.best.evaluation.loss})
        tracker.flush()  # from here on its run and its problems are known
        trained = _publish(arguments, paths, services, tuned, given, tracker, training_job=training_job, stop=stop)
        tracker.tag({"manifest_sha256": trained.sha256})


@dataclass(frozen=True)
class _Given:
    """What the job starts from, proven to be what was recorded."""

    prepared: Prepared
    batches: Iterator[pa.RecordBatch]  # verified file by file, as they are read
    base: BaseModelFiles

    @property
    def digests(self) -> dict[str, str]:
        """What a checkpoint of this job belongs to."""
        return {"prepared_sha256": self.prepared.sha256, "mirror_sha256": self.base.mirror_sha256}


def _verified(arguments: Arguments, paths: Paths, services: Services, stop: StopSignal) -> _Given:
    from steps.governance.manifest import Prepared
    from steps.train import data, mirror

    uri = arguments.prepare_manifest_uri
    prepared = Prepared.from_bytes(services.evidence.read(uri), origin=uri)
    table = services.catalog.table(arguments.curated_table)
    access = services.catalog.read_access(table)
    batches = data.stream(prepared, table, access, execution_arn=arguments.execution_arn)
    stop.check()
    base = mirror.verify(paths.base_model, name=arguments.base_model, revision=arguments.base_model_revision)
    stop.check()
    return _Given(prepared, batches, base)


def _publish(
    arguments: Arguments,
    paths: Paths,
    services: Services,
    tuned: Tuned,
    given: _Given,
    tracker: Tracker,
    *,
    training_job: str,
    stop: StopSignal,
) -> Trained:
    from steps.train import lora, outputs, report, tracking

    with outputs.staged(paths.model) as folder:
        lora.save_adapters(tuned.model, folder)
        outputs.copy_tokenizer(paths.base_model, folder)
        report.write(folder, arguments, tuned, given.prepared, live_metrics=tracking.summary(tracker))
        trained = outputs.manifest(
            arguments,
            tuned,
            given.prepared,
            base=given.base,
            training_job=training_job,
            principal=services.catalog.principal,
            files=outputs.entries(folder),
        ).model_copy(update={"mlflow_run_id": tracker.run_id})
        stop.check()
        uri = arguments.train_manifest_uri(training_job)
        outputs.publish(folder, paths.model, trained, evidence=services.evidence, uri=uri)
    return trained
