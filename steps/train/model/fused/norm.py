"""RMSNorm that keeps its input as it is for backward, and no copy of it in float32.

    x̂ = x / sqrt(mean(x²) + eps),  y = weight * x̂          weight is frozen

transformers' module keeps a float32 copy of the input under autocast: 4 of the 7 bytes a value that
its two norms keep in a layer. Here backward computes x̂ again from the input and one number a row.
On CUDA forward and backward are one kernel each, torch's own `_fused_rms_norm`.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.models.ministral3.modeling_ministral3 import Ministral3RMSNorm

from steps.train.model import branch


class _RmsNorm(torch.autograd.Function):
    """Shapes: x (…, width), weight (width,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        if branch.on_cuda(x):
            y, inverse = branch.rms_norm(x, weight, eps)
        else:
            norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
            inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()  # (…, 1)
            y = (x * inverse).to(x.dtype).mul_(weight)
        ctx.save_for_backward(x, weight, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (x, weight, inverse) = gradients, ctx.saved_tensors
        if branch.on_cuda(x):
            return branch.rms_norm_gradient(gradient, x, weight, inverse), None, None
        weighted, scaled = gradient * weight.float(), x * inverse  # both float32
        projected = (weighted * scaled).mean(-1, keepdim=True)
        weighted.sub_(scaled.mul_(projected)).mul_(inverse)
        return weighted.to(x.dtype), None, None


class FusedRmsNorm(Ministral3RMSNorm):
    """transformers' module with the function above."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        if torch.compiler.is_compiling():  # the compiler fuses the plain operations
            plain: Tensor = super().forward(hidden_states)
            return plain
        apply: Any = _RmsNorm.apply  # torch has no types here
        result: Tensor = apply(hidden_states, self.weight, self.variance_epsilon)
        return result
