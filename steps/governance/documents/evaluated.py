"""What a training's evaluations measured: a part of `manifest.TrainingMetrics`."""

from steps.governance.documents.document import Count, Part


class Evaluated(Part):
    """What the evaluations measured: all held-out examples, a sample of them, and how often.

    `eval_loss_before` and `eval_loss` are of all `examples`, the evaluations on the way of the
    sample. `share` is that of all evaluations in Train's work (in forwards of a token), 0 to 1.
    """

    examples: Count
    tokens: Count
    sample_examples: Count
    sample_tokens: Count
    whole_passes: Count
    sample_passes: Count
    share: float
