"""Lines that SageMaker's MetricDefinitions read off the log (docs/architecture.md, "Metric lines").

    [train] step=12 train_loss=3.2107; grad_norm=0.8123; learning_rate=0.00018; tokens_per_second=1812.4;
    [eval] step=50 eval_loss=2.6843; eval_perplexity=14.65; eval_tokens=8123;

Each metric is `<full key>=<number>;` and its regex `<full key>=([0-9.eE+-]+|nan|inf);`. transformers' own log lines
quote their numbers, so the regexes in most examples match nothing there.
"""

import math
import sys

from steps.train.distributed import processes

PATTERN = "{key}=([0-9.eE+-]+|nan|inf);"


def report_step(step: int, **metrics: float) -> None:
    """One line for an optimizer step."""
    _print(f"[train] step={step} {_fields(metrics)}")


def report_evaluation(step: int, **metrics: float) -> None:
    """One line for an evaluation after `step` optimizer steps; losses in nats per target token."""
    _print(f"[eval] step={step} {_fields(metrics)}")


def say(text: str) -> None:
    """One line for people."""
    _print(f"[info] {text}")


def _fields(metrics: dict[str, float]) -> str:
    return " ".join(f"{key}={_number(value)};" for key, value in metrics.items())


def _number(value: float) -> str:
    """At most six digits; the regex knows no sign before inf."""
    if math.isinf(value):
        return "inf"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _print(line: str) -> None:
    """Flushed at once: a line that waits in a buffer is not in CloudWatch when the job dies. One process speaks for all:
    SageMaker would take a metric twice.
    """
    if not processes.here().is_leader:
        return
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
