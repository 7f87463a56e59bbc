"""Whether a tensor takes the code of a GPU or that of the CPU.

`scripts.roofline` counts the operations of the GPU's code on a machine without one. It replaces
`on_cuda`, so the code that it counts is the code that trains.
"""

from torch import Tensor


def on_cuda(tensor: Tensor) -> bool:
    """Return whether this tensor is on a CUDA device."""
    return tensor.is_cuda
