"""Compile each decoder layer with torch.compile, for runs where this pays; off by default.

    compile_layers(model, device)       before the first step; the first passes compile and are slow

Layers are compiled one by one, not the whole model: all layers share one compiled code, loss and
embedding stay eager, and the adapters keep their names. Two parts are not compiled: attention,
whose loop over documents would be recompiled for every row (packed_attention.py), and
recomputation, which wraps the compiled layer (recomputation.py). Row lengths differ, so shapes are
dynamic. Compiled code decodes FP8 weights with integer arithmetic, because Triton does not support
e4m3 below compute capability 8.9.

Measured on CPU (hidden 256 x 4 layers, 2,048 tokens, one thread): 1.3 times as many tokens per
CPU-second, after minutes of compilation. So it pays in long runs. On GPUs it is [unverified].
"""

import importlib.util
import os
import shutil

from torch import nn

from steps.governance.errors import UsageError
from steps.train.model.recomputation import decoder_layers
from steps.train.planning.devices import Device


def compile_layers(model: nn.Module, device: Device) -> None:
    """Compile each decoder layer in place.

    Raises:
        UsageError: this image lacks a compiler.
    """
    for missing in _missing(device):
        raise UsageError(
            "Compile layers cannot run in this image",
            expected=f"{missing}, which torch.compile needs on {device.name}",
            got="none",
            do="use Compile off, or another training image",
        )
    for layer in decoder_layers(model):
        layer.compile(dynamic=True)


def _missing(device: Device) -> list[str]:
    """Return what torch.compile needs and this image lacks: a C++ compiler, and Triton for CUDA."""
    missing = [] if shutil.which(os.environ.get("CXX", "g++")) else ["a C++ compiler"]
    if device.capability is not None and importlib.util.find_spec("triton") is None:
        missing.append("triton")
    return missing
