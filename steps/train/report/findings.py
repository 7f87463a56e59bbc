"""The report of a fine-tune as one document.

It is the content of `report.json`, and the only source of the page and of the model card.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from steps.governance.documents.document import Count, Part
from steps.governance.documents.manifest import (
    BaseModelFiles,
    PreparedCounts,
    TableVersion,
    TrainingMetrics,
)
from steps.governance.documents.precision import Precision
from steps.train.tracking.tracker import LiveMetrics

CURVE_POINTS = 1000  # at most: Register accepts a report of 16 MiB, and no screen shows more


class Metrics(TrainingMetrics):
    """The metrics of the manifest and numbers derived from them.

    Perplexity is exp(loss), None where that overflows. `eval_loss_before` and `eval_loss` are of
    `eval_examples` held-out examples (`MaxEvalExamples` bounds it). `eval_loss_last` is that of the
    last step on all of them, None where measuring it would have taken too long.
    `eval_sample_loss_before` is the base model's on the sample, None where none was taken.
    """

    eval_examples: Count
    eval_perplexity_before: float | None
    eval_perplexity: float | None
    eval_loss_last: float | None = None
    eval_sample_loss_before: float | None = None
    tokens_per_second: float


class Share(Part):
    """Loss on some of the held-out documents, in nats per target token.

    The name is a year of filing or a group of companies.
    """

    name: str
    tokens: Count
    eval_loss_before: float | None
    eval_loss: float


class Families(Part):
    """Losses of the families of risk factors, each counted once, however many years repeat it.

    `improved` is how many have a lower loss than before; `worst` are those with the highest loss,
    by Prepare's `family_id`.
    """

    count: Count
    improved: Count
    eval_loss_before: float
    eval_loss: float
    worst: list[Share]


class Completions(Part):
    """Shares of held-out prompts that greedy decoding completes exactly, and the mean token-F1.

    Texts are compared as words in lower case without punctuation.
    """

    examples: Count
    exact_match_before: float
    exact_match: float
    token_f1_before: float
    token_f1: float


class Data(Part):
    """What was read: the raw table, the curated table made of it, and Prepare's counts."""

    raw: TableVersion
    curated: TableVersion
    template: str
    counts: PreparedCounts


class Lineage(Part):
    """Ids by which others find this run.

    They are ids of SageMaker, Unity Catalog, the evidence bucket, the base model's mirror and the
    source code.
    """

    execution_arn: str
    training_job: str
    principal: str
    prepare_manifest_sha256: str
    base_model: BaseModelFiles
    git_commit: str | None


class Sample(Part):
    """Greedy answers to one held-out example. The example is named, not quoted."""

    example_id: str
    base: str
    tuned: str


class Merged(Part):
    """How far the merged model's logits are from the tuned model's and from the base's.

    Each difference is a share of the norm of the tuned model's logits.
    """

    documents: Count
    positions: Count
    difference: float
    difference_from_base: float
    tolerance: float


class Findings(Part):
    """The whole document.

    `evaluations` have the `eval_sample_loss` of those on the way, or their `eval_loss` where each
    measured all examples. `system` is the system message of every example; a server of the model
    must use the same.
    """

    schema_: Literal["governed-finetune/training-report/1"] = Field(alias="schema")
    system: str
    metrics: Metrics
    by_year: list[Share]
    by_group: list[Share]
    by_family: Families | None = None
    completions: Completions | None = None
    warnings: list[str] = Field(default_factory=list)
    data: Data
    lineage: Lineage
    live_metrics: LiveMetrics
    lengths: dict[str, dict[str, Any]]  # by split, from `truncation.Lengths.record`
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
    """Reduce a curve to at most `points` points.

    Returns:
        The points, each the mean of consecutive entries at the step of the last one, and how many
        entries make a point.
    """
    together = max(1, -(-len(curve) // points))
    groups = [curve[start : start + together] for start in range(0, len(curve), together)]
    return [_mean(group) for group in groups], together


def _mean(group: Sequence[Mapping[str, int | float]]) -> dict[str, int | float]:
    values = {key: [entry[key] for entry in group if key in entry] for key in group[-1]}
    return {key: sum(each) / len(each) for key, each in values.items()} | {
        "step": group[-1]["step"]
    }
