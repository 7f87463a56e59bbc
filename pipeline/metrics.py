"""The metrics that SageMaker reads from Train's log lines (docs/architecture.md, "Metric lines")."""

EVAL_LOSS = "eval:loss"
EVAL_LOSS_BEFORE = "eval:loss_before"

# The name SageMaker shows, and the key in the line. Losses are nats per target token.
KEYS = {
    "train:loss": "train_loss",
    "train:grad_norm": "grad_norm",
    "train:learning_rate": "learning_rate",
    "train:tokens_per_second": "tokens_per_second",
    "train:mfu": "mfu",  # model FLOPs utilisation, 0 … 1; only where the device's peak is known
    "train:memory_gib": "memory_gib",
    "train:eta_seconds": "eta_seconds",
    EVAL_LOSS_BEFORE: "eval_loss_before",
    EVAL_LOSS: "eval_loss",  # of each evaluation; the last line is the best model's, and its value the final one
    "eval:perplexity": "eval_perplexity",
}


def regex(metric: str) -> str:
    """The full key in front, so that `eval_loss_before` never counts as `eval_loss`."""
    return rf"{KEYS[metric]}=([0-9.eE+-]+|nan|inf);"
