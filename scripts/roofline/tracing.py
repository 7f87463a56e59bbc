"""Run one pass of the model that trains, in Ministral-3-3B's shape, on tensors without memory.

    operations = traced("storage", tokens=8192, recomputed=0)

The model is made by steps/train, with the code that a GPU runs (`steps/train/model/branch.py`), in
torch's FakeTensorMode: shapes and types are computed, numbers are not. It takes seconds and no GPU.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pipeline.local.setup.tiny_configuration import SHAPES, Shape, write_configuration
from scripts.roofline.counting import Counter, Operation
from steps.train.model import branch, fp8_linear, lora, ministral, recomputation
from steps.train.model.precision import Precision
from steps.train.planning.devices import Device

RANK = 16
DOCUMENT = 1024  # tokens of each document
LABELLED = 0.2  # share of tokens with a label
_SHAPE = SHAPES["ministral-3-3b"]
# Any capability with FP8: the branches depend on the mode, not on the card.
_DEVICE = Device(torch.device("cpu"), "counted", (8, 9))


def traced(
    mode: str, *, tokens: int = 8192, recomputed: int = 0, shape: Shape = _SHAPE
) -> list[Operation]:
    """Return the operations of forward and backward over one packed row.

    Args:
        mode: the effective mode of steps/train/model/precision.py.
        tokens: of the row, a multiple of `DOCUMENT`.
        recomputed: layers that recompute their activations.
        shape: sizes of the model.
    """
    precision = Precision(mode, mode, torch.bfloat16, _DEVICE)
    model = _empty(shape, precision)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    counter = Counter(tokens // DOCUMENT * (DOCUMENT * (DOCUMENT + 1) // 2))
    with _as_on_cuda(), fake:
        _materialize(model)
        model.train()
        recomputation.apply(model, recomputed)
        batch = _row(tokens)
        with counter, torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, num_items_in_batch=tokens).loss
        with counter:
            loss.backward()
    return counter.operations


def _empty(shape: Shape, precision: Precision) -> Any:
    """Return the model with adapters; its weights have sizes and no memory."""
    with tempfile.TemporaryDirectory() as folder:
        write_configuration(Path(folder), shape)
        content = json.loads((Path(folder) / "config.json").read_bytes())
    model = ministral.empty(ministral.configured(content))
    scale = torch.ones((), device="meta" if precision.effective == "off" else "cpu")
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and name != "lm_head":
            weight = torch.empty(module.weight.shape, dtype=fp8_linear.E4M3, device="meta")
            model.set_submodule(name, ministral.linear(weight, scale, precision))
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None and parameter.is_floating_point() and name == "weight":
                module._parameters[name] = nn.Parameter(
                    parameter.to(torch.bfloat16), requires_grad=False
                )
    model.tie_weights()
    model.requires_grad_(False)
    return lora.add_adapters(model, RANK, base_model="counted", revision="0" * 40)


def _materialize(model: nn.Module) -> None:
    """Replace every parameter and buffer by a fake tensor that claims to be in memory."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                if id(parameter) not in made:
                    empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                    made[id(parameter)] = nn.Parameter(empty, parameter.requires_grad)
                module._parameters[name] = made[id(parameter)]
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def _row(tokens: int) -> dict[str, Tensor | int]:
    borders = torch.zeros(tokens // DOCUMENT + 1, dtype=torch.int32)
    ids = torch.zeros(1, tokens, dtype=torch.long)
    return {
        "input_ids": ids,
        "labels": ids,
        "label_positions": torch.zeros(round(tokens * LABELLED), dtype=torch.long),
        "position_ids": ids,
        "cu_seq_lens_q": borders,
        "cu_seq_lens_k": borders,
        "max_length_q": DOCUMENT,
        "max_length_k": DOCUMENT,
    }


@contextmanager
def _as_on_cuda() -> Iterator[None]:
    """Take the branches of a GPU."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(branch, "on_cuda", return_value=True))
        stack.enter_context(mock.patch.object(branch, "rms_norm", _one_kernel))
        stack.enter_context(mock.patch.object(branch, "has_triton", return_value=True))
        stack.enter_context(mock.patch.object(branch, "kernels", return_value=_kernels))
        yield


# One operation for each kernel that the CPU cannot run.
_library = torch.library.Library("roofline", "FRAGMENT")
_library.define("rms_norm(Tensor x, Tensor weight) -> (Tensor, Tensor)")
_library.define("gated(Tensor gate, Tensor up) -> Tensor")
_library.define(
    "gated_gradient(Tensor of_product, Tensor gate, Tensor up) -> (Tensor, Tensor, Tensor)"
)
_library.define("rotated(Tensor x, Tensor cos, Tensor sin, int direction) -> Tensor")
_library.define("quantized_rows(Tensor x, float smallest) -> (Tensor, Tensor)")


def _rms_norm(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((*x.shape[:-1], 1), dtype=torch.float32)


def _quantized_rows(x: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, dtype=fp8_linear.E4M3), x.new_empty((len(x), 1), dtype=torch.float32)


_library.impl("rms_norm", _rms_norm, "Meta")
_library.impl("gated", lambda gate, up: torch.empty_like(gate), "Meta")
_library.impl(
    "gated_gradient",
    lambda of_product, gate, up: tuple(map(torch.empty_like, (of_product, gate, up))),
    "Meta",
)
_library.impl(
    "rotated",
    lambda x, cos, sin, direction: torch.empty(x.shape, dtype=x.dtype, device=x.device),
    "Meta",
)
_library.impl("quantized_rows", _quantized_rows, "Meta")
_kernels = torch.ops.roofline  # has the names of steps/train/model/fused/kernels/launched.py


def _one_kernel(x: Tensor, weight: Tensor, eps: float) -> Any:
    """torch's fused norm: one kernel on CUDA, and several operations on the CPU."""
    return torch.ops.roofline.rms_norm(x, weight)
