"""A LoRA layer that adds its two thin products to the base's output in one multiplication.

PEFT computes `y + (x @ A.T @ B.T) * scaling` one operation after the other: four passes over tensors of the output's size
in forward, and one more in backward. `addmm` needs the output once, and its backward scales the thin product instead. The
gradients are the same, in float32 on CPU bit for bit, in some 5 % less time (docs/bench-train.md); in bfloat16 they are
rounded once instead of three times. It also keeps no copy of its input, as PEFT's layer does under autocast. PEFT's own
layer stays in charge of everything but plain training and inference: disabled or merged adapters, several at once.
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
        thin = functional.linear(x.reshape(-1, x.shape[-1]), down)  # (tokens, rank)
        flat = base.reshape(-1, base.shape[-1])  # (tokens, out)
        added = torch.addmm(flat, thin, up.t(), alpha=self.scaling[name])
        return added.to(base.dtype).reshape(base.shape)


def _weight(linear: nn.Module) -> Tensor:
    weight = linear.weight
    assert isinstance(weight, Tensor)  # noqa: S101 - for the type checker: a module's attributes are of any kind
    return weight


def instead_of_pefts(target: nn.Module, adapter_name: str, **options: Any) -> AdaptedLinear | None:
    """PEFT's hook for layers of one's own: ours for the bases it was made for, None (PEFT's choice) for any other."""
    base = target.get_base_layer() if isinstance(target, lora.LoraLayer) else target
    if type(base) not in (nn.Linear, Fp8Linear) or options["config"].lora_dropout:
        return None
    return AdaptedLinear(target, adapter_name, **options)
