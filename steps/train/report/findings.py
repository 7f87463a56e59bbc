"""All that is told of a fine-tune, as one document: the content of `report.json`, and the only source of page and card."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from steps.governance.manifest import (
    BaseModelFiles,
    Count,
    Part,
    Precision,
    PreparedCounts,
    TableVersion,
    TrainingMetrics,
)

CURVE_POINTS = 1000  # at most: Register takes a report of 16 MiB, and no screen shows more


class Metrics(TrainingMetrics):
    """The manifest's, with what can be derived from them: perplexity is exp(loss), None where that overflows.

    `eval_examples` is how many held-out examples each evaluation measured (`MaxEvalExamples` bounds it).
    """

    eval_examples: Count
    eval_perplexity_before: float | None
    eval_perplexity: float | None
    tokens_per_second: float


class Share(Part):
    """Loss on some of the held-out documents, in nats per target token; their name is a year or a group of companies."""

    name: str
    tokens: Count
    eval_loss_before: float | None
    eval_loss: float


class Data(Part):
    """What was read: the raw table, the curated table made of it, and Prepare's counts."""

    raw: TableVersion
    curated: TableVersion
    template: str
    counts: PreparedCounts


class Lineage(Part):
    """By which ids the same can be found elsewhere: SageMaker, Unity Catalog, evidence bucket, mirror, source code."""

    execution_arn: str
    training_job: str
    principal: str
    prepare_manifest_sha256: str
    base_model: BaseModelFiles
    git_commit: str | None


class LiveMetrics(Part):
    """The MLflow run that shows the job's curves, None where there is none, and what went wrong with it."""

    mlflow_run_id: str | None
    problems: list[str]


class Sample(Part):
    """Greedy answers to one held-out example, which is named and not quoted."""

    example_id: str
    base: str
    tuned: str


class Merged(Part):
    """How near the merged model's logits are to the tuned model's and to the base's, as a share of the former's norm."""

    documents: Count
    positions: Count
    difference: float
    difference_from_base: float
    tolerance: float


class Findings(Part):
    """The whole document. `system` is the system message of every example: serving must say the same."""

    schema_: Literal["governed-finetune/training-report/1"] = Field(alias="schema")
    system: str
    metrics: Metrics
    by_year: list[Share]
    by_group: list[Share]
    data: Data
    lineage: Lineage
    live_metrics: LiveMetrics
    lengths: dict[str, dict[str, Any]]  # as `examples.Lengths` records them
    precision: Precision
    parameters: dict[str, str | int | float | bool]
    curve: list[dict[str, int | float]]
    curve_steps_per_point: Count
    evaluations: list[dict[str, int | float]]
    sample: Sample
    merged: Merged | None
    seconds: dict[str, float]
    versions: dict[str, str]


def thinned(
    curve: Sequence[Mapping[str, int | float]], points: int = CURVE_POINTS
) -> tuple[list[dict[str, int | float]], int]:
    """The curve in at most so many points, each the mean of as many neighbours, at the step of the last; and how many."""
    together = max(1, -(-len(curve) // points))
    groups = [curve[start : start + together] for start in range(0, len(curve), together)]
    return [_mean(group) for group in groups], together


def _mean(group: Sequence[Mapping[str, int | float]]) -> dict[str, int | float]:
    values = {key: [entry[key] for entry in group if key in entry] for key in group[-1]}
    return {key: sum(each) / len(each) for key, each in values.items()} | {
        "step": group[-1]["step"]
    }
