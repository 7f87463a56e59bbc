"""torch.compile of each decoder layer, for devices where it wins; off unless Compile says `layers`.

    compile_layers(model, device)       before the first step; the first passes are slow, they compile

Layer by layer, not the whole model: all layers share one compiled code, loss and embedding stay as they are, and the
adapters' names do not change. Two things stay outside: attention, which loops over documents and would be compiled anew
for every row (packed_attention.py), and recomputing, which wraps the compiled layer (recomputation.py). Row lengths differ, so
shapes are dynamic. FP8 weights are decoded by integer arithmetic in compiled code: below compute capability 8.9 Triton
knows no e4m3.

Measured on CPU (hidden 256 × 4 layers, 2,048 tokens, one thread): 1.3 times as many tokens per CPU-second, after minutes of
compiling; it wins where a run is long. On GPUs it is [unverified].
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
        UsageError: this image has nothing to compile with.
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
    """What torch.compile needs and is not here: a C++ compiler, and Triton for CUDA."""
    missing = [] if shutil.which(os.environ.get("CXX", "g++")) else ["a C++ compiler"]
    if device.capability is not None and importlib.util.find_spec("triton") is None:
        missing.append("triton")
    return missing
