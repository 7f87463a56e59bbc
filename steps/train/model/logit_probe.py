"""An exported model counts only when stock transformers has loaded it again and it answers as the tuned model did.

    probe = ask(tuned, held_out_documents)           while the tuned model is in memory
    comparison = check(folder, probe)                raises, or says how near the export came

What is compared are logits on held-out documents. Two things must hold: the export is near the tuned model, within what
bfloat16 explains, and nearer to it than to the base without adapters: that sees a lost adapter which the tolerance would let
pass. Where the adapters do less than a fifth of what rounding does, logits cannot tell; that each of them was added is seen to
where they are taken (`merged.write`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import Mistral3ForConditionalGeneration

from steps.governance.errors import IntegrityError
from steps.train.data.document import Document
from steps.train.model.fp8_linear import Fp8Linear

DOCUMENTS = 4
_TOKENS = 512  # of each document, from its beginning
_POSITIONS = (
    32  # the last of those: with Ministral's vocabulary 4 * 32 of them are 67 MB in float32
)
# Of the logits' norm. Measured with random weights against the tuned model in float32: 0.012 with 2 layers, 0.019 with 26 (the
# 3B model's number), half of it from the rounded weights, half from bfloat16 activations; one negated matrix gives 0.2 and more.
TOLERANCE = 0.05
_HEADROOM = 2 * 2**30  # bytes that a device needs beside the weights: context, activations, logits


@dataclass(frozen=True)
class Probe:
    """Some documents, and what the tuned model and its base answer: (positions, vocabulary), float32, on CPU."""

    documents: list[tuple[int, ...]]
    tuned: Tensor
    base: Tensor


@dataclass(frozen=True)
class Comparison:
    """How far the export's logits lie from the tuned model's and from the base's, as a share of the former's norm."""

    documents: int
    positions: int
    difference: float
    difference_from_base: float
    tolerance: float = TOLERANCE


def ask(model: PeftModel, documents: Sequence[Document]) -> Probe:
    """Note the answers to the first few documents. On sharded models every rank has to call this."""
    ids = [document.ids[:_TOKENS] for document in islice(documents, DOCUMENTS)]
    with _exact(model):
        tuned = _logits(model, ids)
        with model.disable_adapter():
            return Probe(ids, tuned, _logits(model, ids))


def check(folder: Path, probe: Probe) -> Comparison:
    """Load the model in `folder` and compare.

    Raises:
        IntegrityError: weights are missing or left over, or the answers are another model's.
    """
    model = _load(folder)
    answers = _logits(model.to(_device(folder)), probe.documents)
    norm = probe.tuned.norm()
    difference, from_base, effect = (
        (one - other).norm().div(norm).item()
        for one, other in ((answers, probe.tuned), (answers, probe.base), (probe.tuned, probe.base))
    )
    lost = (
        from_base < difference < 5 * effect
    )  # from_base is smaller by chance where the effect is far smaller
    if lost or not difference <= TOLERANCE:  # not: nan is refused as well
        raise IntegrityError(
            "the merged model does not answer as the tuned one",
            expected=f"logits within {TOLERANCE} of the tuned model's, and nearer to them than to the base's",
            got=f"{difference:.4g} from the tuned model, {from_base:.4g} from the base, which are {effect:.4g} apart",
            do="use MergedExport none, the adapter is not affected; report this with the base model's revision",
        )
    return Comparison(len(probe.documents), len(answers), difference, from_base)


def _load(folder: Path) -> nn.Module:
    """As anybody would load it.

    Raises:
        IntegrityError: a file is damaged, a weight is missing, left over or of another shape.
    """
    try:
        loaded: Any = Mistral3ForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16, local_files_only=True, output_loading_info=True
        )
    except (
        SafetensorError,
        RuntimeError,
    ) as error:  # a file that is none, a weight of another shape
        raise IntegrityError("the merged model cannot be read", got=str(error)[:300]) from error
    model: nn.Module = loaded[0]
    wrong = {kind: sorted(map(str, keys))[:10] for kind, keys in loaded[1].items() if keys}
    if wrong:
        raise IntegrityError(
            "the merged model is not whole",
            expected="every weight of its config.json and no other",
            got=str(wrong)[:300],
        )
    return model


@torch.no_grad()
def _logits(model: nn.Module, documents: Sequence[tuple[int, ...]]) -> Tensor:
    """Of the last positions of each document: (positions, vocabulary), float32, on CPU."""
    model.eval()
    weight = next(model.parameters())
    asked: list[Tensor] = []
    for ids in documents:
        # float32 adapters over a bfloat16 base need autocast; a model of one dtype does not mind it
        with torch.autocast(
            weight.device.type, torch.bfloat16, enabled=weight.dtype is torch.bfloat16
        ):
            answer: Any = model(
                input_ids=torch.tensor([ids], device=weight.device), logits_to_keep=_POSITIONS
            )
        asked.append(answer.logits[0].float().cpu())
    return torch.cat(asked)


@contextmanager
def _exact(model: nn.Module) -> Iterator[None]:
    """Multiply by the decoded weights: quantized activations are no property of the weights that were merged."""
    native = [
        module for module in model.modules() if isinstance(module, Fp8Linear) and module.native
    ]
    for module in native:
        module.native = False
    try:
        yield
    finally:
        for module in native:
            module.native = True


def _device(folder: Path) -> torch.device:
    """The GPU if the whole model fits beside what is there, else the CPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        if free > sum(path.stat().st_size for path in folder.glob("*.safetensors")) + _HEADROOM:
            return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
