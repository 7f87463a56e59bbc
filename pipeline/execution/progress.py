"""Show an execution: a live table on a terminal, a line for each change elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from pipeline import command
from pipeline.execution.outcome import Outcome, Progress, StepState
from pipeline.metrics import EVAL_LOSS, EVAL_LOSS_BEFORE

Show = Callable[[Progress], None]
_TABLE_COLUMNS = 60  # below it the table's last column has no room
_FAILURE_CHARACTERS = 160  # of a failure in the table; the result has all of it
LINE_SECONDS = 10.0  # between two lines about one training, without a live table
_COLOURS = {
    "Succeeded": "green",
    "Failed": "red",
    "Executing": "cyan",
    "Stopping": "yellow",
    "Stopped": "yellow",
}


@contextmanager
def shown(stream: IO[str]) -> Iterator[Show]:
    """Yield a function that shows progress on the stream.

    A terminal's table begins with the first progress: until then others may write lines there. A
    narrow terminal gets lines, as one that cannot move back does.
    """
    if command.quiet():
        yield lambda progress: None
        return
    if command.columns(stream) < _TABLE_COLUMNS:
        yield _lines(stream)
        return
    from rich.console import Console
    from rich.live import Live

    latest: list[Progress] = []
    # rich redraws four times a second, so that durations grow while nothing else changes.
    live = Live(
        get_renderable=lambda: _table(latest[-1]) if latest else "", console=Console(file=stream)
    )

    def show(progress: Progress) -> None:
        latest[:] = [progress]
        live.start()  # has an effect the first time only
        live.refresh()

    try:
        yield show
    finally:
        live.stop()


def result(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the result of an execution as rows of name and value, without unknown values."""
    loss = f"{number(outcome.eval_loss_before)} → {number(outcome.eval_loss)} nats per target token"
    rows = [
        ("execution", outcome.arn),
        ("status", outcome.status),
        *((step.name, _ended(step)) for step in outcome.steps),
        ("eval loss", loss if outcome.eval_loss is not None else ""),
        (
            "model",
            f"{outcome.model_name} version {outcome.model_version}"
            if outcome.model_version
            else "",
        ),
        ("alias", outcome.model_alias if outcome.model_version else ""),
        ("model uri", outcome.model_uri or ""),
        ("record", outcome.record_uri or ""),
        ("report at", outcome.report_url or ""),
        ("model at", outcome.model_url or ""),
        ("run at", outcome.run_url or ""),
        ("reason", outcome.failure),
    ]
    return [(name, value) for name, value in rows if value]


def _ended(step: StepState) -> str:
    return "not reached" if step.started is None else f"{step.status}  {duration(step.seconds)}"


def duration(seconds: float | None) -> str:
    """Return a duration as text: `1 h 04 min`, `4 min 20 s` or `3.2 s`; `–` for None."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )


def number(value: float | None) -> str:
    """Return a loss with four decimals, or `–` for an unknown one."""
    return "–" if value is None else f"{value:.4f}"


def metric(step: StepState) -> str:
    """Return the one thing to show of a step: its failure, what it waits for, or its metrics."""
    if step.failure:
        return step.failure.splitlines()[0]
    if step.waits:
        return f"waits: {step.waits}"
    if step.doing and step.ended is None:
        return step.doing
    names = {EVAL_LOSS_BEFORE: "before", EVAL_LOSS: "eval loss", "train:loss": "train loss"}
    measured = [
        f"{text} {number(step.metrics[name])}"
        for name, text in names.items()
        if name in step.metrics
    ]
    if step.interruptions:
        measured.append(f"spot instance lost {step.interruptions} ×")
    return " · ".join(
        [*measured, *(f"version {v}" for k, v in step.outputs.items() if k == "model_version")]
    )


def _lines(stream: IO[str]) -> Show:
    """Write a line for each step whose status, or what it waits for, has changed.

    A training that runs has a line at most every LINE_SECONDS.
    """
    shown: dict[str, tuple[StepState, float]] = {}

    def show(progress: Progress) -> None:
        for step in progress.steps:
            if step.started is not None and _is_new(step, shown.get(step.name)):
                shown[step.name] = (step, step.seconds or 0.0)
                line = (
                    f"{step.name:<9} {step.status:<10} {duration(step.seconds):>10}  {metric(step)}"
                )
                stream.write(f"{line.rstrip()}\n")
                stream.flush()

    return show


def _is_new(step: StepState, last: tuple[StepState, float] | None) -> bool:
    if last is None or step.status != last[0].status:
        return True
    if step.waits:
        return step.waits != last[0].waits
    return bool(step.doing) and (step.seconds or 0.0) - last[1] >= LINE_SECONDS


def _short(text: str) -> str:
    most = _FAILURE_CHARACTERS
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _table(progress: Progress) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "step",
        "state",
        "duration",
        "metric",
        title=progress.arn.rsplit(":", 1)[-1],
        title_justify="left",
    )
    for step in progress.steps:
        colour = _COLOURS.get(step.status, "dim")
        table.add_row(
            step.name,
            Text(step.status, style=colour),
            duration(step.seconds),
            Text(_short(metric(step))),
        )
    return table
