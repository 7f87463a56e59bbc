"""The metrics that SageMaker reads from Train's log (docs/architecture.md, "Metric lines")."""

EVAL_LOSS = "eval:loss"
EVAL_LOSS_BEFORE = "eval:loss_before"

# The name that SageMaker shows, and the key in the log line. Losses are in nats per target token.
KEYS = {
    "train:loss": "train_loss",
    "train:grad_norm": "grad_norm",
    "train:learning_rate": "learning_rate",
    "train:tokens_per_second": "tokens_per_second",
    "train:mfu": "mfu",  # model FLOPs utilisation, 0 … 1; absent if the device's peak is unknown
    "train:memory_gib": "memory_gib",
    "train:eta_seconds": "eta_seconds",
    EVAL_LOSS_BEFORE: "eval_loss_before",
    # Of all held-out examples. The last one, which is SageMaker's final value, is the best model's.
    EVAL_LOSS: "eval_loss",
    "eval:perplexity": "eval_perplexity",
    # Of the sample that evaluations on the way measure; absent where they measure all.
    "eval:sample_loss": "eval_sample_loss",
}


def regex(metric: str) -> str:
    """Return the regular expression of a metric. It begins with the whole key, so that a line with
    `eval_loss_before` does not count as `eval_loss`."""
    return rf"{KEYS[metric]}=([0-9.eE+-]+|nan|inf);"
