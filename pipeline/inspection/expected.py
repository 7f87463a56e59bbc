"""What an execution will take, by those that ran before: time, cost, prompts that are cut.

    found = expected.read(config, client, {"Epochs": "2", …})
    found.lines         # "about 1 min 58 s: Prepare 23.5 s, Train 1 min 21 s, …"

Of the newest executions the one is taken that trained on the same instance type, where possible
with the same table, length and rank, and with a similar number of steps. The steps of its training
are scaled by their number; loading the model and its samples take as long as before. An estimate is
never a reason not to start: what cannot be read is named instead.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.cost import billed, prices
from pipeline.errors import PipelineError
from pipeline.execution import ran_with, reuse
from pipeline.execution.outcome import REJECTED, StepState
from pipeline.execution.progress import duration
from pipeline.inspection import documents, prompts_cut, run_summary
from pipeline.inspection.run_summary import Summary

_LOOKED_AT = 8  # executions: one round of calls at the same time
_COMPARED = ("RawTable", "SequenceLength", "LoraRank", "Fp8Mode", "RawTableVersion")
_JOBS = ("Prepare", "Train", "Register")


@dataclass(frozen=True)
class Expected:
    """Seconds by step, US dollars (None if no bill could be read), and what is cut."""

    of: str  # the execution that it is taken from
    seconds: Mapping[str, float]
    dollars: float | None
    price_note: str  # the date of the prices, or why no amount is known
    cut: prompts_cut.Cut | None
    differing: Mapping[str, str]

    @property
    def total(self) -> float:
        """Seconds of the whole execution."""
        return sum(self.seconds.values())

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        cut = self.cut
        return {
            "of": self.of,
            "seconds": dict(self.seconds),
            "dollars": self.dollars,
            "prompts_cut_share": cut.share if cut else None,
            "sequence_length_that_fits": cut.fits or None if cut else None,
        }

    def lines(self, *, local: bool) -> list[str]:
        """Return the estimate for a person, and a warning if many prompts are cut."""
        steps = ", ".join(f"{name} {duration(each)}" for name, each in self.seconds.items())
        there = ", ".join(f"{name}={value}" for name, value in self.differing.items())
        but = f", which had {there}" if there else ""
        found = [f"expected   about {duration(self.total)}: {steps} (from {self.of}{but})"]
        if self.dollars is not None:
            where = "were it in AWS, " if local else ""
            found.append(f"cost       {where}about ${self.dollars:.2f} at {self.price_note}")
        else:
            found.append(f"cost       not known: {self.price_note}")
        if self.cut and self.cut.warning:
            found.append(f"warning    {self.cut.warning}")
        return found


def noted(config: Config, client: Any, values: Mapping[str, str]) -> tuple[list[str], Any]:
    """Return the lines for a person, and the document; without an estimate, the reason."""
    try:
        found = read(config, client, values)
    except PipelineError as error:
        return [f"expected   no estimate: {str(error).splitlines()[0]}"], None
    if found is None:
        text = "expected   no estimate: none of the newest executions trained on such an instance"
        return [f"{text}; `pipeline.cost` has one from the number of filings"], None
    return found.lines(local=config.environment == LOCAL), found.document()


def read(config: Config, client: Any, values: Mapping[str, str]) -> Expected | None:
    """Return what a start with these parameters takes; None if no execution is like it.

    Raises:
        Refused: AWS refused.
    """
    newest = run_summary.latest(config, client, most=_LOOKED_AT)
    usable = [run for run in newest if _usable(run, values)]
    if not usable:
        return None
    run = max(usable, key=lambda each: (_same(each, values), _near(each, values), each.started))
    s3 = account.client("s3", config)
    found = documents.read(config, s3, run, most_archive_bytes=prompts_cut.MOST_ARCHIVE_BYTES)
    factor = _of_train(found, run, _factor(found, run, values))
    seconds = dict(_seconds(run, values, factor))
    cut = prompts_cut.of(
        found, length=int(values["SequenceLength"]), ran=int(run.ran.values["SequenceLength"])
    )
    dollars, price_note = _dollars(config, run, seconds, factor)
    differing = {
        name: run.ran.values.get(name, "–")
        for name in _COMPARED
        if not ran_with.same(run.ran.values.get(name, ""), values[name])
    }
    return Expected(run.id, seconds, dollars, price_note, cut, differing)


def _usable(run: Summary, values: Mapping[str, str]) -> bool:
    """Whether the execution trained on this type, and shows how many steps there will be."""
    ran = run.ran.values
    ended = run.status in ("Succeeded", REJECTED) and _seconds_of(run, "Train") is not None
    known = ran.get("MaxSteps") == "-1" or int(values["MaxSteps"]) > 0
    return ended and known and ran.get("TrainInstanceType") == values["TrainInstanceType"]


def _same(run: Summary, values: Mapping[str, str]) -> int:
    ran = run.ran.values
    own = ran.get(reuse.PARAMETER) == reuse.NOTHING  # its Prepare made examples
    return own + sum(ran_with.same(ran.get(name, ""), values[name]) for name in _COMPARED)


def _near(run: Summary, values: Mapping[str, str]) -> float:
    """Return how near the bound of the steps is to that of now: 0 for the same, or for no bound."""
    ran, now = (int(each["MaxSteps"]) for each in (run.ran.values, values))
    return -abs(math.log(now / ran)) if now > 0 and ran > 0 else 0.0


def _factor(found: documents.Documents, run: Summary, values: Mapping[str, str]) -> float:
    """Return the optimizer steps of now, at most, by those of the execution."""
    steps = float((found.trained or {}).get("metrics", {}).get("steps", 0))
    if not steps:
        return 1.0
    most = int(values["MaxSteps"])
    if run.ran.values["MaxSteps"] != "-1":
        return most / steps
    wanted = steps * int(values["Epochs"]) / int(run.ran.values["Epochs"])
    return (min(wanted, most) if most > 0 else wanted) / steps


def _of_train(found: documents.Documents, run: Summary, factor: float) -> float:
    """Return how much longer Train takes where its steps take `factor` times as long.

    The report has the seconds of the steps; of a run without one all of Train is scaled.
    """
    whole = _seconds_of(run, "Train") or 1.0
    steps = min(whole, float(((found.report or {}).get("seconds") or {}).get("train", whole)))
    return 1.0 + (factor - 1.0) * steps / whole


def _seconds(run: Summary, values: Mapping[str, str], factor: float) -> Iterator[tuple[str, float]]:
    for name in _JOBS:
        if name == "Prepare" and values.get(reuse.PARAMETER, reuse.NOTHING) != reuse.NOTHING:
            continue  # it only verifies
        if (seconds := _seconds_of(run, name)) is not None:
            yield name, seconds * (factor if name == "Train" else 1.0)


def _seconds_of(run: Summary, name: str) -> float | None:
    found: StepState | None = next((step for step in run.steps if step.name == name), None)
    return found.seconds if found is not None and found.ended is not None else None


def _dollars(
    config: Config, run: Summary, seconds: Mapping[str, float], factor: float
) -> tuple[float | None, str]:
    table = prices.read(prices.PATH)
    try:
        lines = billed.lines(config, run.id, table)
    except PipelineError as error:  # no bill is stated yet
        return None, str(error).splitlines()[0]
    total = 0.0
    for line in (each for each in lines if each.what in seconds):
        if line.dollars is None:
            return None, line.arithmetic
        total += line.dollars * (factor if line.what == "Train" else 1.0)
    return total, f"on-demand prices of {table.as_of}"
