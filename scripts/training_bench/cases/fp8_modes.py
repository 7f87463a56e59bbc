"""Measure what keeping FP8 bytes costs and saves: each mode against the same model in bfloat16.

bfloat16 is the mode `off`. All modes compute in bfloat16 here, as they do on a GPU, although the
step itself would choose float32 on a CPU. `native` calls the same `torch._scaled_mm` on a CPU.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scripts.training_bench.cases.documents import learnable
from scripts.training_bench.cases.ours import (
    TrainingSettings,
    adapted,
    document,
    precision_of,
    train,
)
from scripts.training_bench.job import Job
from steps.train import before_torch

STEPS = 120
_TOKENS = 256  # of one optimizer step
_LEARNING_RATE = 1e-3


def curve(job: Job, *, mode: str) -> dict[str, Any]:
    """Return the training loss of each of 120 steps."""
    before_torch.prepare_imports(bitsandbytes=False)
    from transformers import set_seed

    from steps.train.planning.batching import Batching

    set_seed(job.seed)
    decided = precision_of(replace(job, bfloat16=True), mode)
    tuned = adapted(job, decided)
    text_config = tuned.config.text_config
    texts = learnable(
        STEPS, tokens=(_TOKENS, _TOKENS), vocabulary=text_config.vocab_size, seed=job.seed
    )
    one_row = Batching(1, 1, recomputed_layers=0, decoder_layers=text_config.num_hidden_layers)
    settings = TrainingSettings(decided, one_row, _LEARNING_RATE, job.seed)
    rows = [[document(text)] for text in texts]
    return {"losses": train(tuned, rows, settings, on_step=lambda *_: None).losses}


def sizes(job: Job, *, mode: str) -> dict[str, Any]:
    """Return the bytes of the language model's linears, and those saved for backward.

    The second number counts what a forward pass saves, without the weights.
    """
    before_torch.prepare_imports(bitsandbytes=False)
    from steps.train.data import packing
    from steps.train.fine_tuning.evaluation import autocast, on_device

    decided = precision_of(replace(job, bfloat16=True), mode)
    tuned = adapted(job, decided)
    texts = learnable(
        4, tokens=(_TOKENS, _TOKENS), vocabulary=tuned.config.text_config.vocab_size, seed=job.seed
    )
    batch = on_device(packing.collate([[document(text) for text in texts]]), decided)
    tuned.train()
    with _SavedForBackward(tuned) as saved, autocast(decided):
        tuned(**batch)
    return {"linear_bytes": _linear_bytes(tuned), "saved_bytes": saved.bytes}


def _linear_bytes(tuned: Any) -> int:
    linears = (layer.base_layer for layer in tuned.modules() if hasattr(layer, "base_layer"))
    return sum(
        value.numel() * value.element_size() for linear in linears for value in linear.parameters()
    )


class _SavedForBackward:
    """Counts the bytes that autograd saves in forward: each storage once, without the weights."""

    def __init__(self, model: Any) -> None:
        self._counted = {value.untyped_storage().data_ptr() for value in model.parameters()}
        # References keep the storages alive until they are counted: a freed address may be reused.
        self._kept: list[Any] = []
        self.bytes = 0

    def __enter__(self) -> "_SavedForBackward":
        import torch

        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._hooks.__exit__(*raised)
        self.bytes = sum(self._sizes())

    def _pack(self, tensor: Any) -> Any:
        self._kept.append(tensor)
        return tensor

    def _sizes(self) -> Iterator[int]:
        for tensor in self._kept:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._counted:
                self._counted.add(storage.data_ptr())
                yield storage.nbytes()
