"""Train: fine-tune Ministral-3 with LoRA on the examples that Prepare made for this execution.

    python -m steps.train            in a SageMaker training container (folders below /opt/ml, or $SAGEMAKER_BASE_DIR)
    python -m steps.train --help

Reads the manifest, verifies data and base model against it, trains, evaluates, and leaves adapter, tokenizer, report
and manifest in the model folder. Exit 0: done · 1: refused or failed · 2: cannot be used as given · 143: stopped by
SIGTERM.
"""

import json
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.governance import logs
from steps.governance.errors import GovernanceError, UsageError
from steps.train import arguments as hyperparameters
from steps.train import disk
from steps.train.arguments import Arguments
from steps.train.paths import Paths
from steps.train.stopping import EXIT_CODE, Stopped, StopSignal

_REASON_CHARACTERS = 1024  # what DescribeTrainingJob shows of output/failure


@dataclass(frozen=True)
class Services:
    """What lies outside this process: the catalog and the workspace, as our principal, and the evidence bucket."""

    catalog: Any
    evidence: Any
    workspace: Any = None  # for live metrics only


def main(argv: list[str]) -> int:
    """Run the job; its exit code. SageMaker starts a container with the one argument `train`."""
    if argv not in ([], ["train"]):
        sys.stdout.write(f"{__doc__}\nHyperparameters (input/config/hyperparameters.json):\n")
        sys.stdout.write(hyperparameters.describe() + "\n")
        return 0 if argv in (["--help"], ["-h"]) else 2
    logs.configure("train")
    paths, stop = Paths.from_environment(), StopSignal.listen()
    try:
        arguments = hyperparameters.parse(_hyperparameters(paths))
        with disk.explained():
            train(arguments, paths, connect(arguments), training_job=_training_job(), stop=stop)
    except Stopped:
        sys.stderr.write("stopped: SIGTERM came; what was trained is in the checkpoints, the model folder is empty\n")
        return EXIT_CODE
    except GovernanceError as error:
        return _fail(paths, str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever it was, SageMaker shows this file and nothing else
        traceback.print_exc()
        return _fail(paths, f"{type(error).__name__}: {error}", 1)
    return 0


def connect(arguments: Arguments) -> Services:
    """Prove our identity to the workspace."""
    from steps.governance.catalog import Catalog
    from steps.governance.evidence import Evidence
    from steps.governance.identity import connect

    host, secret_id, region = arguments.databricks_host, arguments.databricks_secret_id, arguments.region
    workspace = connect(host=host, secret_id=secret_id, region=region)
    return Services(Catalog(workspace), Evidence(region), workspace)


def train(arguments: Arguments, paths: Paths, services: Services, *, training_job: str, stop: StopSignal) -> None:
    """The whole step. What can be refused is refused before torch is imported, let alone a step taken."""
    from steps.governance.manifest import Prepared
    from steps.train import corpus, data, lean, mirror, tracking
    from steps.train.chat import Chat

    uri = arguments.prepare_manifest_uri
    prepared = Prepared.from_bytes(services.evidence.read(uri), origin=uri)
    table = services.catalog.table(arguments.curated_table)
    access = services.catalog.read_access(table)
    batches = data.stream(prepared, table, access, execution_arn=arguments.execution_arn)
    stop.check()
    base = mirror.verify(paths.base_model, name=arguments.base_model, revision=arguments.base_model_revision)
    stop.check()

    lean.prepare_imports(bitsandbytes=arguments.needs_bitsandbytes)
    length, seed = arguments.sequence_length, arguments.seed
    with tracking.tracked(arguments, services.workspace, training_job=training_job, prepared=prepared) as tracker:
        with tempfile.TemporaryDirectory() as scratch:  # governed text as tokens: gone when the model is tuned
            chat = Chat(paths.base_model)
            examples = corpus.build(stop.during(batches), chat, Path(scratch), row_tokens=length, seed=seed)
            from steps.train import lora, outputs, report
            from steps.train.fine_tune import Clock, Task, fine_tune

            sources = {"prepared_sha256": prepared.sha256, "mirror_sha256": base.mirror_sha256}
            task = Task(arguments, paths.base_model, examples, paths.checkpoints, sources, listen=tracker.log)
            tuned = fine_tune(task, stop=stop, clock=Clock())
        tracker.log(tuned.history.steps, {"best_eval_loss": tuned.best.evaluation.loss})
        tracker.flush()
        with outputs.staged(paths.model) as folder:
            lora.save_adapters(tuned.model, folder)
            outputs.copy_tokenizer(paths.base_model, folder)
            report.write(folder, arguments, tuned, prepared, live_metrics=tracking.summary(tracker))
            trained = outputs.manifest(
                arguments,
                tuned,
                prepared,
                base=base,
                training_job=training_job,
                principal=services.catalog.principal,
                files=outputs.entries(folder),
            ).model_copy(update={"mlflow_run_id": tracker.run_id})
            stop.check()
            uri = arguments.train_manifest_uri(training_job)
            outputs.publish(folder, paths.model, trained, evidence=services.evidence, uri=uri)
        tracker.tag(tracking.outcome(trained))


def _hyperparameters(paths: Paths) -> dict[str, Any]:
    try:
        content = json.loads(paths.hyperparameters.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{paths.hyperparameters} cannot be read",
            expected="a JSON object of hyperparameters, as SageMaker writes it",
            got=f"{type(error).__name__}",
            do="run this in a training job, or set SAGEMAKER_BASE_DIR to a folder of the same layout",
        ) from None
    return content if isinstance(content, dict) else {}


def _training_job() -> str:
    name = os.environ.get("TRAINING_JOB_NAME")
    if not name:
        raise UsageError("no training job", expected="TRAINING_JOB_NAME, which SageMaker sets", got="nothing")
    return name


def _fail(paths: Paths, reason: str, exit_code: int) -> int:
    sys.stderr.write(reason + "\n")
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        Path(paths.failure).write_text(reason[:_REASON_CHARACTERS], encoding="utf-8")
    except OSError as error:  # the log has the reason; on a full disk there is no room for more
        sys.stderr.write(f"{paths.failure} could not be written: {error}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
