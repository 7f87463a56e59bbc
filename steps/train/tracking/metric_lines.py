"""Log lines that SageMaker's MetricDefinitions parse (docs/architecture.md, "Metric lines").

    [train] step=12 train_loss=3.2107; grad_norm=0.8123; learning_rate=0.00018;
    [eval] step=50 eval_loss=2.6843; eval_perplexity=14.65; eval_tokens=8123;

They are the message of a log line in the format of steps/governance/logs.py, and are written at
every level. Each metric is `<full key>=<number>;`, and its regular expression is
`<full key>=([0-9.eE+-]+|nan|inf);`. transformers' own log lines quote their numbers, so the regular
expressions of most examples match nothing there.
"""

import math
import sys

from steps.governance import logs
from steps.train.distributed import processes

PATTERN = "{key}=([0-9.eE+-]+|nan|inf);"


def report_step(step: int, **metrics: float) -> None:
    """Log one line for an optimizer step."""
    _print(f"[train] step={step} {_fields(metrics)}")


def report_evaluation(step: int, **metrics: float) -> None:
    """Log one line for an evaluation after `step` optimizer steps.

    Losses are in nats per target token.
    """
    _print(f"[eval] step={step} {_fields(metrics)}")


def report_info(text: str) -> None:
    """Log one line for people."""
    _print(f"[info] {text}")


def _fields(metrics: dict[str, float]) -> str:
    return " ".join(f"{key}={_number(value)};" for key, value in metrics.items())


def _number(value: float) -> str:
    """Format with at most six digits. The regular expression accepts no sign before inf."""
    if math.isinf(value):
        return "inf"
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _print(line: str) -> None:
    """Write the line and flush, so that it is in CloudWatch even if the job dies.

    Only the leader of several processes writes: SageMaker would count a metric twice.
    """
    if not processes.here().is_leader:
        return
    sys.stdout.write(logs.line(__name__, line) + "\n")
    sys.stdout.flush()
