"""How a person recognises a training's MLflow run: its name, its data, and what Gate will decide.

about(arguments, prepared, training_job=…)     # name, tags, parameters, dataset
gate(arguments, loss)                          # "passed", or "rejected: eval loss 2.7 is …"
"""

import json

from databricks.sdk.service.ml import Dataset, DatasetInput, InputTag

from steps.governance.documents.manifest import Prepared
from steps.governance.names import execution_id
from steps.train.arguments import Arguments
from steps.train.tracking.mlflow_run import About

# Hyperparameters that become parameters of the run
_PARAMS = (
    *("epochs", "max_steps", "learning_rate", "lora_rank", "sequence_length", "seed"),
    *("fp8_mode", "optimizer", "eval_steps", "early_stopping_patience", "max_eval_examples"),
    *("determinism", "merged_export", "compile", "sharding"),
)
_DIGEST = 36  # characters that mlflow's store takes [mlflow 3.17, `input_datasets.digest`]


def about(arguments: Arguments, prepared: Prepared, *, training_job: str) -> About:
    """Return name, tags, parameters and dataset of a job's run.

    The name begins with the execution's id, as `pipeline.runs` lists it, so that a person finds one
    by the other; the values are those that are changed most.
    """
    run = execution_id(arguments.execution_arn)
    return About(
        training_job=training_job,
        name=f"{run} rank {arguments.lora_rank}, rate {arguments.learning_rate:g}, "
        f"seed {arguments.seed}",
        tags={
            "execution_arn": arguments.execution_arn,
            "curated_table": prepared.target.table,
            "curated_version": str(prepared.target.version),
            "base_model": arguments.base_model,
            "base_model_revision": arguments.base_model_revision,
        },
        params={name: str(getattr(arguments, name)) for name in _PARAMS},
        dataset=_dataset(prepared),
    )


def gate(arguments: Arguments, loss: float) -> str:
    """Return what Gate decides by this job's last eval loss, as its metric line states it.

    Gate itself compares the number that SageMaker read from that line. NaN is within no bound.
    """
    stated = float(f"{loss:.6g}")
    if stated <= arguments.max_eval_loss:
        return "passed"
    return f"rejected: eval loss {stated:g} is not within MaxEvalLoss {arguments.max_eval_loss:g}"


def _dataset(prepared: Prepared) -> DatasetInput:
    """Return the curated table's version as an input of the run, with Prepare's digest of it.

    `mlflow.data.get_source` makes mlflow's own Delta source of it.
    """
    target = prepared.target
    source = {
        "delta_table_name": target.table,
        "delta_table_version": target.version,
        "is_databricks_uc_table": True,
        "delta_table_id": target.table_id,
    }
    dataset = Dataset(
        name=f"{target.table}@{target.version}",
        digest=prepared.sha256[:_DIGEST],
        source_type="delta_table",
        source=json.dumps(source),
    )
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])
