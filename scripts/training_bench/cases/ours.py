"""Our side of the comparison: the step's own code, from the checkpoint to the last step.

run(job, mode="auto")                       one measured case
train(tuned, rows, settings, on_step=…)     the training loop, for the other cases
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from scripts.training_bench.cases.documents import Text, filings_like
from scripts.training_bench.job import Job
from steps.train import before_torch

RANK = 16
LEARNING_RATE = 1e-4
_NEVER = 10**9  # steps between evaluations, which are not compared


def run(job: Job, *, mode: str) -> dict[str, Any]:
    """Train on the job's documents and return the numbers; `mode` is an Fp8Mode."""
    before_torch.prepare_imports(bitsandbytes=False)
    from transformers import set_seed

    from scripts.training_bench.cases.meter import Meter
    from steps.train.data import packing
    from steps.train.planning import devices

    meter = Meter(job.device, job.warm_up)
    set_seed(job.seed)
    decided = precision_of(job, mode)
    tuned = adapted(job, decided)
    texts = filings_like(
        job.documents, vocabulary=tuned.config.text_config.vocab_size, seed=job.seed
    )
    rows = packing.packed([document(text) for text in texts], job.row_tokens, seed=job.seed)
    meter.loaded()
    meter.watch(tuned)
    settings = TrainingSettings(decided, batching_of(job, decided, tuned), LEARNING_RATE, job.seed)
    trained = train(tuned, rows, settings, on_step=lambda *_: meter.step_ended())
    about = {
        "precision": decided.record().model_dump(),
        "peak_flops": devices.peak_flops(decided.device.name),
    }
    return meter.read() | about | {"flops_per_token": trained.flops_per_token}


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: everything except the model and the rows."""

    precision: Any
    batching: Any
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Trained:
    """The loss of each optimizer step, and the average operations of a token."""

    losses: list[float]
    flops_per_token: float


def train(
    tuned: Any,
    rows: Sequence[Any],
    settings: TrainingSettings,
    *,
    on_step: Callable[[int, Mapping[str, float]], None],
) -> Trained:
    """Train once over `rows` with the step's loop.

    `on_step` is called after every optimizer step with its number and its metrics.
    """
    from steps.train.fine_tuning import training_loop
    from steps.train.fine_tuning.checkpoints import Checkpoints
    from steps.train.fine_tuning.evaluation import Evaluation
    from steps.train.fine_tuning.held_out.measured import HeldOut
    from steps.train.fine_tuning.history import History
    from steps.train.fine_tuning.run import TrainingRun
    from steps.train.planning import flops
    from steps.train.planning.shapes import Shape
    from steps.train.stopping import StopSignal

    history, shape = History(), Shape.of(tuned.config.text_config)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(
            rows=rows,
            schedule=_schedule(len(rows), settings),
            batching=settings.batching,
            precision=settings.precision,
            checkpoints=Checkpoints(Path(folder), {}),
            evaluate=lambda _: Evaluation(0.0, 1),
            held_out=HeldOut(cast(Any, rows), cast(Any, rows)),
            tracker=cast(Any, _StepTracker(on_step)),
            stop=StopSignal(),
            flops=lambda tokens: flops.of_step(shape, RANK, tokens).total,
        )
        training_loop.train(tuned, run, history, resume=None)
    return Trained([point["train_loss"] for point in history.curve], history.flops / history.tokens)


def _schedule(rows: int, settings: TrainingSettings) -> Any:
    """Return the step's schedule for one pass over `rows`, without evaluations."""
    from steps.train.fine_tuning.trainer_settings import Schedule

    steps = -(-rows // (settings.batching.micro_rows * settings.batching.accumulation))
    return Schedule(
        steps,
        settings.learning_rate,
        settings.seed,
        optimizer="adamw",
        eval_steps=_NEVER,
        patience=0,
    )


class _StepTracker:
    """A tracker that only calls a function with each step's metrics."""

    def __init__(self, on_step: Callable[[int, Mapping[str, float]], None]) -> None:
        self.log = on_step


def precision_of(job: Job, mode: str) -> Any:
    """Return the precision that the step would choose, or bfloat16 if the job asks for it."""
    import torch

    from steps.train.model import precision

    if job.bfloat16:
        return precision.Precision(mode, mode, torch.bfloat16, device(job.device))
    return precision.decide(mode, device(job.device))


def batching_of(job: Job, decided: Any, tuned: Any) -> Any:
    """Return the batching that the step would choose, or one row if the job recomputes."""
    from steps.train.planning import batching
    from steps.train.planning.shapes import Shape

    shape = Shape.of(tuned.config.text_config)
    if job.recompute:
        return batching.Batching(1, batching.ROWS_PER_STEP, shape.layers, shape.layers)
    plan = decided.plan(shape, rank=RANK, optimizer="adamw")
    return batching.decide(decided.device, job.row_tokens, plan=plan)


def device(name: str) -> Any:
    """Return the device that the job names."""
    import torch

    from steps.train.planning.devices import Device

    return Device.here() if name == "cuda" else Device(torch.device("cpu"), "cpu", None)


def adapted(job: Job, decided: Any) -> Any:
    """Return the base as the step loads it, with the step's adapters."""
    from steps.train.model import lora, ministral

    return lora.add_adapters(
        ministral.load(Path(job.model), decided), RANK, base_model="bench", revision="0" * 40
    )


def document(text: Text) -> Any:
    """Return a text as the step's document."""
    from steps.train.data.document import Document

    return Document(tuple(text.ids), text.prompt_tokens)
