"""Ours against the unpacked reference: the same documents in the same optimizer steps, one document at a time, through
transformers' own class, plain attention, full logits and its own cross-entropy.

What ours saw is taken down at the model's door, so the reference needs to know nothing of packing or of the order.
"""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from scripts.training_bench.cases.documents import learnable
from scripts.training_bench.cases.ours import (
    RANK,
    Way,
    adapted,
    batching_of,
    device,
    document,
    train,
)
from scripts.training_bench.job import Job
from steps.train import before_torch

_LEARNING_RATE = 1e-3  # high, so that a wrong gradient shows in the very next loss
_LENGTHS = 30, 400  # tokens of a document, from and to
# The loop's own, said again: a reference that asked the loop would follow it into an error.
_WARM_UP, _MAX_GRADIENT_NORM = 0.03, 1.0


def run(job: Job) -> dict[str, Any]:
    """The loss of every optimizer step, both ways."""
    before_torch.prepare_imports(bitsandbytes=False)
    from transformers import set_seed

    from steps.train.data import packing
    from steps.train.model import precision

    set_seed(job.seed)
    decided = precision.decide("auto", device("cpu"))
    tuned = adapted(job, decided)
    start = {
        name: value.detach().clone()
        for name, value in tuned.named_parameters()
        if value.requires_grad
    }
    vocabulary = tuned.config.text_config.vocab_size
    texts = learnable(job.documents, tokens=_LENGTHS, vocabulary=vocabulary, seed=job.seed)
    rows = packing.packed([document(text) for text in texts], job.row_tokens, seed=job.seed)
    batches = batching_of(job, decided, tuned)
    seen: list[dict[str, Any]] = []
    tuned.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    trained = train(
        tuned, rows, Way(decided, batches, _LEARNING_RATE, job.seed), listen=lambda *_: None
    )
    steps = [
        seen[at : at + batches.accumulation] for at in range(0, len(seen), batches.accumulation)
    ]
    return {
        "ours": trained.losses,
        "reference": _reference(Path(job.model), start, steps),
        "documents": len(texts),
    }


def _reference(
    folder: Path, start: dict[str, Any], steps: list[list[dict[str, Any]]]
) -> list[float]:
    """The losses of a plain loop from the same adapters."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    model = _stock(folder)
    adapters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    for name, value in adapters.items():
        value.data.copy_(start.pop(name))
    assert not start, "the reference lacks adapters that ours has"  # noqa: S101 - a bench that compares two models is none
    optimizer = torch.optim.AdamW(adapters.values(), lr=_LEARNING_RATE, weight_decay=0.0)
    warm_up = math.ceil(_WARM_UP * len(steps))
    schedule = get_cosine_schedule_with_warmup(optimizer, warm_up, len(steps))
    losses = []
    for passes in steps:
        losses.append(_step(model, passes))
        torch.nn.utils.clip_grad_norm_(adapters.values(), _MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return losses


def _step(model: Any, passes: list[dict[str, Any]]) -> float:
    """Gradients of the mean over all target tokens of one optimizer step; that mean."""
    from torch.nn.functional import cross_entropy

    targets = sum(int((inputs["labels"][:, 1:] != -100).sum()) for inputs in passes)
    total = 0.0
    for ids, labels in (alone for inputs in passes for alone in _documents(inputs)):
        logits = model(input_ids=ids, use_cache=False).logits
        loss = (
            cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum")
            / targets
        )
        loss.backward()
        total += loss.item()
    return total


def _documents(inputs: dict[str, Any]) -> list[tuple[Any, Any]]:
    borders = inputs["cu_seq_lens_q"].tolist()
    return [(inputs["input_ids"][:, a:b], inputs["labels"][:, a:b]) for a, b in pairwise(borders)]


def _stock(folder: Path) -> Any:
    """transformers' class with the same numbers: float32 products of the released bytes and their scales."""
    import torch
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    from steps.train.model import base_weights, lora

    content = json.loads((folder / "config.json").read_bytes())
    del content["quantization_config"]
    content["dtype"] = "float32"
    model = Mistral3ForConditionalGeneration(Mistral3Config.from_dict(content)).requires_grad_(
        False
    )
    weights = {
        weight.name: weight.tensor.float() * (1 if weight.scale is None else weight.scale.float())
        for weight in base_weights.read(folder, torch.device("cpu"))
    }
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    assert not unknown, unknown  # noqa: S101 - as above
    model.tie_weights()
    stock: Any = model
    return lora.add_adapters(stock, RANK, base_model="bench", revision="0" * 40)
