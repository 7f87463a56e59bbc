"""A LoRA layer that adds its low-rank product to the base's output in one multiplication.

PEFT computes `y + (x @ A.T @ B.T) * scaling` as separate operations: four passes over tensors of
the output's size in forward, and one more in backward. Here `addmm` passes over the output once,
and its backward scales the low-rank product instead. On CPU in float32 the gradients are equal bit
for bit and take about 5 % less time (docs/bench-train.md). In bfloat16 they are rounded once
instead of three times. The layer also keeps no copy of its input; PEFT's layer does under autocast.

PEFT's own `forward` still handles everything except plain training and inference: disabled
adapters, merged adapters, and several active adapters.
"""

from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn import functional

from steps.train.model.fp8_linear import Fp8Linear


class AdaptedLinear(lora.Linear):
    """PEFT's LoRA layer over a plain or FP8 linear."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(…, in) → (…, out)."""
        adapters = self.active_adapters
        if args or kwargs or self.disable_adapters or self.merged or len(adapters) != 1:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        (name,) = adapters
        down, up = _weight(self.lora_A[name]), _weight(self.lora_B[name])  # (rank, in), (out, rank)
        base: Tensor = self.base_layer(x)
        low_rank = functional.linear(x.reshape(-1, x.shape[-1]), down)  # (tokens, rank)
        flat = base.reshape(-1, base.shape[-1])  # (tokens, out)
        added = torch.addmm(flat, low_rank, up.t(), alpha=self.scaling[name])
        return added.to(base.dtype).reshape(base.shape)


def _weight(linear: nn.Module) -> Tensor:
    weight = linear.weight
    assert isinstance(weight, Tensor)  # noqa: S101 - for the type checker
    return weight


def create_lora_layer(target: nn.Module, adapter_name: str, **options: Any) -> AdaptedLinear | None:
    """Return our LoRA layer for a plain or FP8 linear, or None to let PEFT choose its own layer.

    PEFT calls this through its hook for custom modules. None is returned for other bases and when
    dropout is configured.
    """
    base = target.get_base_layer() if isinstance(target, lora.LoraLayer) else target
    if type(base) not in (nn.Linear, Fp8Linear) or options["config"].lora_dropout:
        return None
    return AdaptedLinear(target, adapter_name, **options)
