"""Ours: the step's own code, from the checkpoint on disk to the last optimizer step."""

from pathlib import Path
from typing import Any

from scripts.training_bench.documents import Text, filings_like
from scripts.training_bench.job import Job
from steps.train import lean

RANK = 16
LEARNING_RATE = 1e-4


def run(job: Job, *, mode: str) -> dict[str, Any]:
    """Train on the job's documents in `mode`, an Fp8Mode."""
    lean.prepare_imports(mode)
    from transformers import set_seed

    from scripts.training_bench.meter import Meter
    from steps.train import batching, loop, packing, precision
    from steps.train.stopping import StopSignal

    meter = Meter(job.device, job.warm_up)
    set_seed(job.seed)
    decided = precision.decide(mode, device(job.device))
    tuned = adapted(job, decided)
    texts = filings_like(job.documents, vocabulary=tuned.config.text_config.vocab_size, seed=job.seed)
    rows = packing.best_fit([document(text) for text in texts], job.row_tokens, seed=job.seed)
    meter.loaded()
    meter.watch(tuned)
    loop.train(
        tuned,
        rows,
        loop.Schedule(epochs=1, max_steps=-1, learning_rate=LEARNING_RATE, seed=job.seed),
        batching=batching.decide(decided.device, job.row_tokens),
        precision=decided,
        stop=StopSignal(),
    )
    return meter.read() | {"precision": decided.record().model_dump()}


def device(name: str) -> Any:
    """The device that the job names."""
    import torch

    from steps.train.precision import Device

    return Device.here() if name == "cuda" else Device(torch.device("cpu"), "cpu", None)


def adapted(job: Job, decided: Any) -> Any:
    """The base as the step loads it, with the step's adapters."""
    from steps.train import lora, model

    return lora.add_adapters(model.load(Path(job.model), decided), RANK, base_model="bench", revision="0" * 40)


def document(text: Text) -> Any:
    """A text as the step's document."""
    from steps.train.packing import Document

    return Document(tuple(text.ids), text.prompt_tokens)
