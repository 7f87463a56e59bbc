"""The whole Train step, from Prepare's manifest to Train's.

    train(arguments, paths, connect(arguments), training_job=name, stop=StopSignal.listen())

Everything that can be refused early is refused before torch is imported. With several processes,
each runs the whole step, except for the work that a host needs once (checking the base model's
digests, writing the token store) and what the job's leader publishes once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from steps.governance import logs
from steps.train.arguments import Arguments
from steps.train.distributed import processes
from steps.train.distributed.processes import AgreedStop, Processes
from steps.train.paths import Paths
from steps.train.services import Services
from steps.train.stopping import StopSignal

if TYPE_CHECKING:
    from steps.governance.documents.manifest import BaseModelFiles, Prepared, Trained
    from steps.train.data.corpus import Corpus
    from steps.train.data.opened_table import OpenedTable
    from steps.train.export import merged_model
    from steps.train.export.manifest import Origin
    from steps.train.fine_tuning.task import Tuned
    from steps.train.tracking.tracker import Tracker


@dataclass(frozen=True)
class _Job:
    """One training job, as this process sees it."""

    arguments: Arguments
    paths: Paths
    services: Services
    name: str
    me: Processes  # this process among those of the job
    own_stop: StopSignal  # SIGTERM to this process
    stop: StopSignal  # SIGTERM to any process; every process has to check it at the same place


@dataclass(frozen=True)
class _Inputs:
    """What the job starts from, verified against what Prepare and the mirror recorded."""

    prepared: Prepared
    table: OpenedTable | None  # None in processes that do not read it
    base: BaseModelFiles

    @property
    def digests(self) -> dict[str, str]:
        """The data and base model that a checkpoint of this job belongs to."""
        return {"prepared_sha256": self.prepared.sha256, "mirror_sha256": self.base.mirror_sha256}


def train(
    arguments: Arguments, paths: Paths, services: Services, *, training_job: str, stop: StopSignal
) -> None:
    """Run the whole step. The model folder stays empty until everything is done."""
    from steps.train import before_torch
    from steps.train.tracking import run_events, tracker

    me, agreed = processes.here(), stop
    if me.count > 1:
        before_torch.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
        me.join()
        agreed = AgreedStop(stop, me)
    job = _Job(arguments, paths, services, training_job, me, own_stop=stop, stop=agreed)
    inputs = _verified(job)
    before_torch.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
    tracked = tracker.tracked(
        arguments,
        services.workspace,
        training_job=training_job,
        prepared=inputs.prepared,
        leader=me.is_leader,
    )
    reported = run_events.reported(
        arguments, training_job, inputs=(inputs.prepared, inputs.base), leader=me.is_leader
    )
    with reported as finished, _scratch(me) as scratch, tracked as metrics:
        corpus = me.leader_first(lambda: _corpus(job, inputs, scratch))
        tuned = _fine_tuned(job, inputs, corpus, metrics)
        trained = _publish(job, _origin(job, inputs, metrics), tuned)
        if trained is not None:
            metrics.tag({"manifest_sha256": trained.sha256})
            finished(trained)
    me.leave()


@contextmanager
def _scratch(me: Processes) -> Iterator[Path]:
    """Yield this host's folder for governed text as tokens. It is removed when the job ends."""
    if not me.is_host_leader:
        yield Path(me.once_per_host(str))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(me.once_per_host(lambda: folder))


def _verified(job: _Job) -> _Inputs:
    """Verify Prepare's manifest, the table's commit and the base model."""
    from steps.train.data import opened_table
    from steps.train.model import base_model_files

    arguments, me = job.arguments, job.me
    prepared = me.once_per_host(lambda: opened_table.manifest(arguments, job.services))
    table = me.leader_first(lambda: _opened(job, prepared) if me.is_host_leader else None)
    job.stop.check()
    base = me.once_per_host(
        lambda: base_model_files.verify(
            job.paths.base_model,
            name=arguments.base_model,
            revision=arguments.base_model_revision,
        )
    )
    job.stop.check()
    return _Inputs(prepared, table, base)


def _opened(job: _Job, prepared: Prepared) -> OpenedTable:
    from steps.train.data.opened_table import opened

    return opened(prepared, job.arguments, job.services)


def _corpus(job: _Job, inputs: _Inputs, folder: Path) -> Corpus:
    """Return the tokenized examples; the first process of each host writes them to `folder`."""
    from steps.train.data import corpus, tokenizing
    from steps.train.data.chat_template import Chat

    if inputs.table is None:
        return corpus.open(folder)
    counts = inputs.prepared.counts
    batches = job.own_stop.during(inputs.table.batches)
    return corpus.build(
        tokenizing.logged(batches, examples=counts.examples_train + counts.examples_eval),
        Chat(job.paths.base_model),
        folder,
        row_tokens=job.arguments.sequence_length,
        seed=job.arguments.seed,
    )


def _fine_tuned(job: _Job, inputs: _Inputs, corpus: Corpus, metrics: Tracker) -> Tuned:
    from steps.train.export import merged_model
    from steps.train.fine_tuning.fine_tune import fine_tune
    from steps.train.fine_tuning.task import Clock, Task
    from steps.train.tracking import described

    logs.adopt_libraries()
    arguments, paths = job.arguments, job.paths
    job.me.from_leader(lambda: merged_model.require_possible(arguments, paths))
    task = Task(arguments, paths.base_model, corpus, paths.checkpoints, inputs.digests, metrics)
    tuned = fine_tune(task, stop=job.stop, clock=Clock())
    job.stop.check()
    metrics.log(tuned.history.steps, {"best_eval_loss": tuned.best.evaluation.loss})
    metrics.tag({"gate": described.gate(arguments, tuned.best.evaluation.loss)})
    return tuned


def _origin(job: _Job, inputs: _Inputs, metrics: Tracker) -> Origin:
    from steps.train.export.manifest import Origin
    from steps.train.tracking import tracker

    metrics.flush()  # report and manifest name the MLflow run and its problems
    return Origin(
        arguments=job.arguments,
        prepared=inputs.prepared,
        base=inputs.base,
        training_job=job.name,
        principal=job.services.catalog.principal,
        live_metrics=tracker.summary(metrics),
        build=job.services.build,
        reading=inputs.table.reading if inputs.table else None,
    )


def _publish(job: _Job, origin: Origin, tuned: Tuned) -> Trained | None:
    """Publish the model folder and, if one is wanted, the merged model.

    Returns:
        The manifest in the job's leader, None in the other processes. Those only take part in
        gathering and loading the adapters.
    """
    from steps.train.export import final_answer, kept_publication, merged_model, model_folder
    from steps.train.model import lora

    arguments, paths = job.arguments, job.paths
    with model_folder.staged(paths.model) as folder:
        lora.save_adapters(tuned.model, folder)
        model_folder.copy_tokenizer(paths.base_model, folder)
        origin = replace(origin, answer=final_answer.reproduce(tuned, folder))
        if not job.me.is_leader:
            return None
        exported = merged_model.exported(paths, folder, probe=tuned.probe, stop=job.own_stop)
        with exported as export:
            files = export.files if export else None
            trained = kept_publication.recall(
                paths.checkpoints, folder, training_job=job.name, merged=files
            ) or _documented(job, origin, tuned, folder, export)
            job.own_stop.check()
            uri = arguments.train_manifest_uri(job.name)
            with merged_model.published(export, paths.merged, trained):
                model_folder.publish(
                    folder, paths.model, trained, evidence=job.services.evidence, uri=uri
                )
    return trained


def _documented(
    job: _Job, origin: Origin, tuned: Tuned, folder: Path, export: merged_model.Export | None
) -> Trained:
    """Write the report into `folder`; keep report and manifest for a restart of this job."""
    from steps.train.export import kept_publication, model_folder
    from steps.train.export.manifest import manifest
    from steps.train.report import write

    write.write(folder, origin, tuned, export.comparison if export else None)
    files = model_folder.entries(folder)
    trained = manifest(origin, tuned, files, export.files if export else None)
    kept_publication.keep(job.paths.checkpoints, folder, trained)
    return trained
