"""The model card of a package, in SageMaker's JSON form for the cards of model packages.

    card.content(record)     # a dictionary with the schema's fields only

Source of the fields and bounds: SageMaker Developer Guide, "Model package model card schema", and
the shapes of sagemaker-core, with which the tests read it. Everything is from the record: no text
of a filing, no host, no name of a secret.
"""

import math
from typing import Any

from steps.governance.documents.record import Record

_MOST_VALUE = 255  # characters of a hyperparameter
# What decides the training. The other hyperparameters name places.
_DECISIVE = (
    *("epochs", "max_steps", "learning_rate", "lora_rank", "sequence_length", "seed", "fp8_mode"),
    *("optimizer", "eval_steps", "early_stopping_patience", "max_eval_examples", "max_eval_loss"),
    *("determinism", "merged_export"),
)


def content(record: Record) -> dict[str, Any]:
    """Return the card of a record."""
    return {
        "model_overview": {
            "model_creator": record.execution.arn,
            "model_artifact": [record.artifact.uri],
        },
        "training_details": {
            "objective_function": {"function": "Minimize", "facet": "Loss"},
            "training_observations": (
                f"LoRA of {record.base_model.name} at {record.base_model.revision}, "
                f"{record.data.examples_train} examples, FP8 {record.fp8.effective}"
            ),
            "training_job_details": _training(record),
        },
        "evaluation_details": [_evaluation(record)],
        "additional_information": {
            "caveats_and_recommendations": (
                "The archive is a LoRA adapter: serve it with its base model. Before it is served, "
                "compare the archive's sha256 with archive_sha256 here."
            ),
            "custom_details": {
                "model_version": f"{record.model.name}@{record.model.version}",
                "record_sha256": record.sha256,
                "archive_sha256": record.artifact.sha256,
                "base_model": f"{record.base_model.name}@{record.base_model.revision}",
                "base_model_licence": record.base_model.licence or "not stated",
            },
        },
    }


def _training(record: Record) -> dict[str, Any]:
    given = record.train.hyperparameters
    return {
        "training_arn": record.train.job_arn,
        "training_datasets": [_table(record)],
        "training_environment": {"container_image": [record.train.image]},
        "training_metrics": [
            *_metric("train_tokens", record.metrics.train_tokens),
            *_metric("steps", record.metrics.steps),
            *_metric("best_step", record.metrics.best_step),
        ],
        "hyper_parameters": [
            {"name": name, "value": given[name][:_MOST_VALUE]}
            for name in _DECISIVE
            if name in given
        ],
    }


def _evaluation(record: Record) -> dict[str, Any]:
    found = record.metrics
    losses = (("eval_loss", found.eval_loss), ("eval_loss_before", found.eval_loss_before))
    numbers = (*losses, ("eval_tokens", found.eval_tokens))
    return {
        "name": "held-out examples",
        "evaluation_observation": "Mean loss in nats per target token, before and after.",
        "evaluation_job_arn": record.train.job_arn,
        "datasets": [_table(record)],
        "metric_groups": [
            {
                "name": "loss",
                "metric_data": [
                    {"type": "number", **metric}
                    for name, value in numbers
                    for metric in _metric(name, value)
                ],
            }
        ],
    }


def _metric(name: str, value: float) -> list[dict[str, Any]]:
    """One metric; none for a number that JSON does not have."""
    return [{"name": name, "value": value}] if math.isfinite(value) else []


def _table(record: Record) -> str:
    return f"{record.curated.table}@{record.curated.version}"
