"""Compare our losses with an unpacked reference's, in the same optimizer steps.

The reference processes one document at a time, with transformers' own class, plain attention, full
logits and torch's cross-entropy. A hook on our model records its inputs, so the reference knows
neither how documents are packed nor their order.
"""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from scripts.training_bench.cases.documents import learnable
from scripts.training_bench.cases.ours import (
    RANK,
    TrainingSettings,
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
# Copied from the training loop: a reference that imported them would repeat an error in them.
_WARM_UP, _MAX_GRADIENT_NORM = 0.03, 1.0


def run(job: Job) -> dict[str, Any]:
    """Return the loss of every optimizer step, ours and the reference's."""
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
        tuned,
        rows,
        TrainingSettings(decided, batches, _LEARNING_RATE, job.seed),
        on_step=lambda *_: None,
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
    """Return the losses of a plain loop that starts with the same adapters.

    Args:
        folder: the checkpoint.
        start: the adapters' values before training, by name.
        steps: the inputs of our model, by optimizer step and pass.
    """
    import torch

    model = _stock(folder)
    adapters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    for name, value in adapters.items():
        value.data.copy_(start.pop(name))
    if start:
        raise RuntimeError(f"expected our adapters in the reference, got none for {sorted(start)}")
    optimizer = torch.optim.AdamW(adapters.values(), lr=_LEARNING_RATE, weight_decay=0.0)
    warm_up = math.ceil(_WARM_UP * len(steps))
    shares = _rates(warm_up, len(steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: shares[step])
    losses = []
    for passes in steps:
        losses.append(_step(model, passes))
        torch.nn.utils.clip_grad_norm_(adapters.values(), _MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return losses


def _rates(warm_up: int, steps: int) -> list[float]:
    """Return each step's share of the learning rate (decision 052), and that after the last."""
    rising = [number / (warm_up + 1) for number in range(1, warm_up + 1)]
    falling = [math.cos(math.pi / 2 * at / (steps - warm_up)) ** 2 for at in range(steps - warm_up)]
    return [*rising, *falling, 0.0]


def _step(model: Any, passes: list[dict[str, Any]]) -> float:
    """Compute the gradients of one optimizer step; return its loss.

    The loss is the mean over all target tokens of the step, so documents are weighted by tokens.
    """
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
    """Return ids and labels of each document in a packed row."""
    borders = inputs["cu_seq_lens_q"].tolist()
    return [(inputs["input_ids"][:, a:b], inputs["labels"][:, a:b]) for a, b in pairwise(borders)]


def _stock(folder: Path) -> Any:
    """Return transformers' class with the same weights, and with adapters.

    The weights are the FP8 values multiplied by their scales in float32.
    """
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
    if unknown:
        raise RuntimeError(f"expected weights of transformers' class only, got {sorted(unknown)}")
    model.tie_weights()
    stock: Any = model
    return lora.add_adapters(stock, RANK, base_model="bench", revision="0" * 40)
