"""A LoRA layer that computes its low-rank product together with the base's, and their gradients.

PEFT computes `y + (x @ A.T @ B.T) * scaling` as separate operations: four passes over tensors of
the output's size in forward, and one more in backward. fused/grouped.py adds the low-rank product
to the base's output in one multiplication, and does the same with the gradients of the input. It
keeps the input, and no copy of it or of the adapters.

PEFT's own `forward` still handles everything except plain training and inference: disabled
adapters, merged adapters, and several active adapters. Under torch.compile the layer is written in
plain operations, which the compiler fuses.
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn import functional

from steps.train.model.fp8_linear import Fp8Linear
from steps.train.model.fused import grouped


class AdaptedLinear(lora.Linear):
    """PEFT's LoRA layer over a plain or FP8 linear."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(…, in) → (…, out)."""
        if args or kwargs or not self.is_plain:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        if torch.compiler.is_compiling():
            return self._added(x)
        return adapted(x, [self])[0]

    @property
    def is_plain(self) -> bool:
        """Whether exactly one adapter is active and not merged into the base."""
        return not self.disable_adapters and not self.merged and len(self.active_adapters) == 1

    def _added(self, x: Tensor) -> Tensor:
        (name,) = self.active_adapters
        down, up = _weights([self])
        base: Tensor = self.base_layer(x)
        low_rank = functional.linear(x.reshape(-1, x.shape[-1]), down)  # (tokens, rank)
        flat = base.reshape(-1, base.shape[-1])  # (tokens, out)
        added = torch.addmm(flat, low_rank, up.t(), alpha=self.scaling[name])
        return added.to(base.dtype).reshape(base.shape)


def all_plain(*layers: nn.Module) -> bool:
    """Return whether these are our LoRA layers in plain training or inference, not compiled."""
    plain = all(isinstance(layer, AdaptedLinear) and layer.is_plain for layer in layers)
    return plain and not torch.compiler.is_compiling()


def adapted(x: Tensor, layers: Sequence[Any]) -> tuple[Tensor, ...]:
    """Return the outputs of several plain LoRA layers, `all_plain`, over one input."""
    return grouped.adapted(x, _group(layers), _weights(layers))


def adapted_gated(gate: Tensor, up: Tensor, layer: Any) -> Tensor:
    """Return the output of one plain LoRA layer over `silu(gate) * up`."""
    return grouped.adapted_gated(gate, up, _group([layer]), _weights([layer]))


def _group(layers: Sequence[Any]) -> grouped.Group:
    (scaling,) = {layer.scaling[layer.active_adapters[0]] for layer in layers}
    return tuple(layer.base_layer for layer in layers), scaling


def _weights(layers: Sequence[AdaptedLinear]) -> list[Tensor]:
    """Return all A, (rank, in), then all B, (out, rank)."""
    parts = [[getattr(x, part)[x.active_adapters[0]].weight for x in layers] for part in _PARTS]
    return [weight for part in parts for weight in part]


_PARTS = ("lora_A", "lora_B")


def create_lora_layer(target: nn.Module, adapter_name: str, **options: Any) -> AdaptedLinear | None:
    """Return our LoRA layer for a plain or FP8 linear, or None to let PEFT choose its own layer.

    PEFT calls this through its hook for custom modules. None is returned for other bases and when
    dropout is configured.
    """
    base = target.get_base_layer() if isinstance(target, lora.LoraLayer) else target
    if type(base) not in (nn.Linear, Fp8Linear) or options["config"].lora_dropout:
        return None
    return AdaptedLinear(target, adapter_name, **options)
