"""The points of a training's curve, from the metric lines of its log.

    curve = training_log.curve(lines)
    curve.steps         # [{"step": 12, "train_loss": 3.2, …}, …]
    curve.text          # "step 12 · train loss 3.2107 · 1,812 tokens/s · 6 min 50 s left"

A job's log has them while it runs, and after it failed; docs/architecture.md, "Metric lines", has
the form. SageMaker's own metrics are final values only.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.execution.progress import duration, number

# Of steps/train/data/tokenizing.py, which works before the first step
_TOKENIZING = re.compile(r"\btokenizing [\d,]+ of [\d,]+ examples\b.*")
_LINE = re.compile(r"\[(train|eval)\] step=(\d+)\b(.*)")
_VALUE = re.compile(r"\b(\w+)=([0-9.eE+-]+|nan|inf);")
Point = dict[str, float]


@dataclass
class Curve:
    """The points of one training, by optimizer step. A step that ran again has its last values."""

    steps: dict[int, Point] = field(default_factory=dict)
    evaluations: dict[int, Point] = field(default_factory=dict)
    tokenizing: str = ""  # how far it was at its last line

    def add(self, text: str) -> None:
        """Take the point of a log line, if it has one."""
        if found := _LINE.search(text):
            values = {name: float(value) for name, value in _VALUE.findall(found[3])}
            into = self.steps if found[1] == "train" else self.evaluations
            step = int(found[2])
            earlier = self.evaluations.get(step, {}) if found[1] == "eval" else {}
            into[step] = {**earlier, "step": step, **values}
        elif found := _TOKENIZING.search(text):
            self.tokenizing = found[0]

    @property
    def text(self) -> str:
        """The last step in a line: loss, rate and remaining time. Before the first one: how far the
        tokenizing is, or nothing."""
        if not self.steps:
            return self.tokenizing
        last = self.steps[max(self.steps)]
        parts = [f"step {last['step']:.0f}", f"train loss {number(last.get('train_loss'))}"]
        losses = [loss for _, loss in self.on_the_way()]
        parts += [f"best eval loss {number(min(losses))}"] if losses else []
        parts += _rate(last)
        return " · ".join(parts)

    def on_the_way(self) -> list[tuple[int, float]]:
        """Return step and loss of the evaluations after training began, all of the same examples.

        They are of a sample, or of all held-out examples where no sample was taken.
        """
        every = self.evaluations
        sampled = any("eval_sample_loss" in each for each in every.values())
        key = "eval_sample_loss" if sampled else "eval_loss"
        return [(step, each[key]) for step, each in sorted(every.items()) if key in each]


def _rate(last: Point) -> list[str]:
    rate, left = last.get("tokens_per_second"), last.get("eta_seconds")
    found = [f"{rate:,.0f} tokens/s"] if rate is not None and math.isfinite(rate) else []
    if left is None or not math.isfinite(left):
        return found
    return [*found, f"{duration(left)} left" if left else "trained; samples and files follow"]


def curve(lines: Iterable[str]) -> Curve:
    """Return the curve that the lines of a log have."""
    found = Curve()
    for text in lines:
        found.add(text)
    return found
