"""Check that an exported model, loaded by stock transformers, gives the tuned model's logits.

    probe = record(tuned, held_out_documents)        while the tuned model is in memory
    comparison = check(folder, probe)                raises if the export differs too much

Logits on held-out documents are compared. Two conditions must hold:

* The export is near the tuned model, within what bfloat16 explains.
* The export is nearer to the tuned model than to the base without adapters. This finds a lost
  adapter whose effect is smaller than the tolerance.

If the effect of the adapters is less than a fifth of the effect of rounding, logits cannot detect a
lost adapter. export/merged_model.py therefore also checks that every adapter was added.
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
# The last tokens of these. With Ministral's vocabulary, the logits of 4 * 32 positions are 67 MB in
# float32.
_POSITIONS = 32
# As a share of the norm of the logits. Measured with random weights against the tuned model in
# float32: 0.012 with 2 layers and 0.019 with 26, the number of the 3B model. Half of it comes from
# the rounded weights and half from bfloat16 activations. One negated matrix gives 0.2 or more.
TOLERANCE = 0.05
# Bytes that a device needs in addition to the weights: context, activations, logits.
_HEADROOM = 2 * 2**30


@dataclass(frozen=True)
class Probe:
    """Documents, and the logits of the tuned model and of its base for them.

    Logits are (positions, vocabulary), float32, on CPU.
    """

    documents: list[tuple[int, ...]]
    tuned: Tensor
    base: Tensor


@dataclass(frozen=True)
class Comparison:
    """The distance of the export's logits from the tuned model's and from the base's.

    Distances are shares of the norm of the tuned model's logits.
    """

    documents: int
    positions: int
    difference: float
    difference_from_base: float
    tolerance: float = TOLERANCE


def record(model: PeftModel, documents: Sequence[Document]) -> Probe:
    """Compute the logits of the first few documents.

    Every rank of a sharded model must call this.
    """
    ids = [document.ids[:_TOKENS] for document in islice(documents, DOCUMENTS)]
    with _exact(model):
        tuned = _logits(model, ids)
        with model.disable_adapter():
            return Probe(ids, tuned, _logits(model, ids))


def check(folder: Path, probe: Probe) -> Comparison:
    """Load the model in `folder` and compare.

    Raises:
        IntegrityError: weights are missing or unexpected, or the logits differ too much.
    """
    model = _load(folder)
    logits = _logits(model.to(_device(folder)), probe.documents)
    norm = probe.tuned.norm()
    difference, from_base, effect = (
        (one - other).norm().div(norm).item()
        for one, other in ((logits, probe.tuned), (logits, probe.base), (probe.tuned, probe.base))
    )
    # If the effect is far smaller than the difference, from_base may be the smaller one by chance.
    lost = from_base < difference < 5 * effect
    if lost or not difference <= TOLERANCE:  # `not <=` also refuses NaN
        raise IntegrityError(
            "the merged model does not answer as the tuned one",
            expected=f"logits within {TOLERANCE} of the tuned model's, "
            "and nearer to them than to the base's",
            got=f"{difference:.4g} from the tuned model, {from_base:.4g} from the base, "
            f"which are {effect:.4g} apart",
            do="use MergedExport none, the adapter is not affected; "
            "report this with the base model's revision",
        )
    return Comparison(len(probe.documents), len(logits), difference, from_base)


def _load(folder: Path) -> nn.Module:
    """Load the export with stock transformers, as a user would.

    Raises:
        IntegrityError: a file is damaged, or a weight is missing, unexpected or of another shape.
    """
    try:
        loaded: Any = Mistral3ForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16, local_files_only=True, output_loading_info=True
        )
    except (SafetensorError, RuntimeError) as error:  # not a safetensors file; another shape
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
    """Return the logits of each document's last positions.

    They are (positions, vocabulary), float32, on CPU.
    """
    model.eval()
    weight = next(model.parameters())
    parts: list[Tensor] = []
    for ids in documents:
        # float32 adapters over a bfloat16 base need autocast; with a single dtype it has no effect.
        with torch.autocast(
            weight.device.type, torch.bfloat16, enabled=weight.dtype is torch.bfloat16
        ):
            output: Any = model(
                input_ids=torch.tensor([ids], device=weight.device), logits_to_keep=_POSITIONS
            )
        parts.append(output.logits[0].float().cpu())
    return torch.cat(parts)


@contextmanager
def _exact(model: nn.Module) -> Iterator[None]:
    """Multiply by decoded weights in this block.

    The merged weights know nothing of quantized activations, so the tuned model must not use them.
    """
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
    """Return the GPU if it has memory for the whole model, else the CPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        if free > sum(path.stat().st_size for path in folder.glob("*.safetensors")) + _HEADROOM:
            return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
