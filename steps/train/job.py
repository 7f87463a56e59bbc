"""The whole step, from Prepare's manifest to Train's.

    train(arguments, paths, connect(arguments), training_job=name, stop=StopSignal.listen())

What can be refused is refused before torch is imported, let alone a step taken. Of several processes each does the whole
of it, but for what a host needs once (the base model's digests, the token store) and what the job tells once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.train.arguments import Arguments
from steps.train.distributed import processes
from steps.train.distributed.processes import AgreedStop, Processes
from steps.train.paths import Paths
from steps.train.stopping import StopSignal

if TYPE_CHECKING:
    import pyarrow as pa

    from steps.governance.manifest import BaseModelFiles, Prepared, Trained
    from steps.train.data.corpus import Corpus
    from steps.train.export import merged_model
    from steps.train.export.manifest import Origin
    from steps.train.fine_tuning.task import Tuned


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

    host, secret_id, region = (
        arguments.databricks_host,
        arguments.databricks_secret_id,
        arguments.region,
    )
    workspace = connect(host=host, secret_id=secret_id, region=region)
    return Services(Catalog(workspace), Evidence(region), workspace)


def train(
    arguments: Arguments, paths: Paths, services: Services, *, training_job: str, stop: StopSignal
) -> None:
    """The whole step. Nothing stands in the model folder unless all of it does."""
    from steps.train import before_torch
    from steps.train.tracking import tracker as tracking

    me, own = processes.here(), stop
    if me.count > 1:
        before_torch.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
        me.join()
        stop = AgreedStop(own, me)
    given = _verified(arguments, paths, services, stop, me)
    before_torch.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
    tracked = tracking.tracked(
        arguments,
        services.workspace,
        training_job=training_job,
        prepared=given.prepared,
        leader=me.is_leader,
    )
    with _scratch(me) as scratch, tracked as tracker:
        examples = me.leader_first(
            lambda: _corpus(arguments, paths, own.during(given.batches), scratch, me)
        )
        from steps.train.export import merged_model
        from steps.train.export.manifest import Origin
        from steps.train.fine_tuning.fine_tune import fine_tune
        from steps.train.fine_tuning.task import Clock, Task

        me.from_leader(lambda: merged_model.require_possible(arguments, paths))
        task = Task(
            arguments, paths.base_model, examples, paths.checkpoints, given.digests, tracker
        )
        tuned = fine_tune(task, stop=stop, clock=Clock())
        stop.check()
        tracker.log(tuned.history.steps, {"best_eval_loss": tuned.best.evaluation.loss})
        tracker.flush()  # from here on its run and its problems are known
        live, principal = tracking.summary(tracker), services.catalog.principal
        origin = Origin(arguments, given.prepared, given.base, training_job, principal, live)
        trained = _publish(origin, paths, services, tuned, stop=own)
        if trained is not None:
            tracker.tag({"manifest_sha256": trained.sha256})
    me.leave()


@contextmanager
def _scratch(me: Processes) -> Iterator[Path]:
    """A folder of this host for governed text as tokens: gone when the job ends."""
    if not me.is_host_leader:
        yield Path(me.once_per_host(str))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(me.once_per_host(lambda: folder))


def _corpus(
    arguments: Arguments,
    paths: Paths,
    batches: Iterable[pa.RecordBatch],
    folder: Path,
    me: Processes,
) -> Corpus:
    """Made by the first process of each host, opened by the others."""
    from steps.train.data import corpus
    from steps.train.data.chat_template import Chat

    if not me.is_host_leader:
        return corpus.open(folder)
    length, seed = arguments.sequence_length, arguments.seed
    return corpus.build(batches, Chat(paths.base_model), folder, row_tokens=length, seed=seed)


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


def _verified(
    arguments: Arguments, paths: Paths, services: Services, stop: StopSignal, me: Processes
) -> _Given:
    from steps.governance.manifest import Prepared
    from steps.train.model import base_model_files

    uri, name, revision = (
        arguments.prepare_manifest_uri,
        arguments.base_model,
        arguments.base_model_revision,
    )
    prepared = me.once_per_host(
        lambda: Prepared.from_bytes(services.evidence.read(uri), origin=uri)
    )
    batches = me.leader_first(
        lambda: _batches(arguments, services, prepared) if me.is_host_leader else iter(())
    )
    stop.check()
    base = me.once_per_host(
        lambda: base_model_files.verify(paths.base_model, name=name, revision=revision)
    )
    stop.check()
    return _Given(prepared, batches, base)


def _batches(
    arguments: Arguments, services: Services, prepared: Prepared
) -> Iterator[pa.RecordBatch]:
    from steps.train.data import verified_table

    table = services.catalog.table(arguments.curated_table)
    access = services.catalog.read_access(table)
    return verified_table.stream(prepared, table, access, execution_arn=arguments.execution_arn)


def _publish(
    origin: Origin, paths: Paths, services: Services, tuned: Tuned, *, stop: StopSignal
) -> Trained | None:
    """What was published, in the process that speaks for the job; the others lend it their adapters."""
    from steps.train.export import kept_publication, merged_model, model_folder
    from steps.train.model import lora

    arguments = origin.arguments
    with model_folder.staged(paths.model) as folder:
        lora.save_adapters(tuned.model, folder)
        if not processes.here().is_leader:
            return None
        model_folder.copy_tokenizer(paths.base_model, folder)
        with merged_model.exported(paths, folder, probe=tuned.probe, stop=stop) as export:
            files = export.files if export else None
            trained = kept_publication.recall(
                paths.checkpoints, folder, training_job=origin.training_job, merged=files
            ) or _told(origin, paths, folder, tuned, export)
            stop.check()
            uri = arguments.train_manifest_uri(origin.training_job)
            with merged_model.published(export, paths.merged, trained):
                model_folder.publish(
                    folder, paths.model, trained, evidence=services.evidence, uri=uri
                )
    return trained


def _told(
    origin: Origin, paths: Paths, folder: Path, tuned: Tuned, export: merged_model.Export | None
) -> Trained:
    """Report and manifest of what lies in `folder`, kept for the case that this job is started again."""
    from steps.train.export import kept_publication, model_folder
    from steps.train.report import write

    write.write(folder, origin, tuned, export.comparison if export else None)
    trained = model_folder.manifest(
        origin, tuned, model_folder.entries(folder), export.files if export else None
    )
    kept_publication.keep(paths.checkpoints, folder, trained)
    return trained
