"""What keeping the FP8 bytes costs and saves, each mode against the same model in bfloat16 (mode `off`).

On CPU both compute in bfloat16 here, though the step itself would take float32 there: the comparison is one of bfloat16
machines, which is what a GPU is. `native` on CPU runs the same `_scaled_mm`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scripts.training_bench.cases.documents import learnable
from scripts.training_bench.cases.ours import Way, adapted, document, precision_of, train
from scripts.training_bench.job import Job
from steps.train import before_torch

STEPS = 120
_TOKENS = 256  # of one optimizer step
_LEARNING_RATE = 1e-3


def curve(job: Job, *, mode: str) -> dict[str, Any]:
    """The training loss of each of 120 steps."""
    before_torch.prepare_imports(bitsandbytes=False)
    from transformers import set_seed

    from steps.train.planning.batching import Batching

    set_seed(job.seed)
    decided = precision_of(replace(job, bfloat16=True), mode)
    tuned = adapted(job, decided)
    vocabulary = tuned.config.text_config.vocab_size
    texts = learnable(STEPS, tokens=(_TOKENS, _TOKENS), vocabulary=vocabulary, seed=job.seed)
    one_row = Batching(
        1, 1, recomputed_layers=0, decoder_layers=tuned.config.text_config.num_hidden_layers
    )
    way = Way(decided, one_row, _LEARNING_RATE, job.seed)
    return {
        "losses": train(
            tuned, [[document(text)] for text in texts], way, listen=lambda *_: None
        ).losses
    }


def sizes(job: Job, *, mode: str) -> dict[str, Any]:
    """Bytes of the language model's linears, and bytes that a forward pass keeps for backward besides weights."""
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
    with _Saved(tuned) as saved, autocast(decided):
        tuned(**batch)
    return {"linear_bytes": _linear_bytes(tuned), "saved_bytes": saved.bytes}


def _linear_bytes(tuned: Any) -> int:
    linears = (layer.base_layer for layer in tuned.modules() if hasattr(layer, "base_layer"))
    return sum(
        value.numel() * value.element_size() for linear in linears for value in linear.parameters()
    )


class _Saved:
    """Counts what autograd keeps between forward and backward: each storage once, weights not at all."""

    def __init__(self, model: Any) -> None:
        self._known = {value.untyped_storage().data_ptr() for value in model.parameters()}
        self._kept: list[
            Any
        ] = []  # alive until counted: an address that is freed is given out again
        self.bytes = 0

    def __enter__(self) -> "_Saved":
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
            if storage.data_ptr() not in self._known:
                self._known.add(storage.data_ptr())
                yield storage.nbytes()
