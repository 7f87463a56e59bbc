"""One decoder layer of a model's own sizes, with random weights, in one mode of precision.

    layer = RandomLayer(folder, precision, rank)
    layer.forward(tokens), layer.step(tokens)

It is the code that trains, down to kernels and products, without the time and memory of a whole
model. Numbers are random: the time of a product does not depend on them.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from steps.train.model import fp8_linear, lora, ministral
from steps.train.model.precision import Precision
from steps.train.model.recomputation import decoder_layers

DOCUMENT = 1024  # tokens of a document in a row, at most; an example of Prepare has about 400


class RandomLayer:
    """A decoder layer with adapters, and inputs for it. It changes no generator's state."""

    def __init__(self, folder: Path, precision: Precision, rank: int) -> None:
        self._how, self._device = precision, precision.device.torch_device
        model = ministral.empty(ministral.one_layer(folder))
        (self._layer,) = decoder_layers(model)
        self._rotary: Any = model.model.language_model.rotary_emb.to(self._device)
        text: Any = model.config.text_config
        self._width: int = text.hidden_size
        cuda = [] if precision.device.capability is None else [self._device]
        with torch.random.fork_rng([each for each in cuda if each.type == "cuda"]):
            self._fill(model)
            lora.add_adapters(model, rank, base_model="timed", revision="0" * 40)
        self._layer.train()

    def _fill(self, model: nn.Module) -> None:
        """Give the layer weights on the device, and leave the rest of the model empty."""
        scale = torch.full((), 2.0**-6)
        for name, module in list(self._layer.named_modules()):
            if isinstance(module, nn.Linear):
                random = torch.randn(module.weight.shape, device=self._device)
                made = ministral.linear(random.to(fp8_linear.E4M3), scale, self._how)
                self._layer.set_submodule(name, made.to(self._device))
            elif isinstance(weight := getattr(module, "weight", None), nn.Parameter):
                ones = torch.ones(weight.shape, dtype=self._how.dtype, device=self._device)
                module.weight = nn.Parameter(ones, requires_grad=False)
        model.requires_grad_(False)

    def forward(self, tokens: int) -> Tensor:
        """Run forward over a row of `tokens`: (1, tokens, hidden)."""
        x, given = self._inputs(tokens)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._how.autocast):
            output: Tensor = self._layer(x, **given)
        return output

    def step(self, tokens: int) -> None:
        """Run forward and backward over a row of `tokens`."""
        output = self.forward(tokens)
        output.backward(torch.ones_like(output))

    @cache  # noqa: B019 - a layer lives as long as its timing
    def _inputs(self, tokens: int) -> tuple[Tensor, dict[str, Any]]:
        device, dtype = self._device, self._how.dtype
        x = torch.ones(1, tokens, self._width, dtype=dtype, device=device, requires_grad=True)
        borders = [*range(0, tokens, DOCUMENT), tokens]
        cumulated = torch.tensor(borders, dtype=torch.int32, device=device)
        positions = torch.arange(tokens, device=device)[None] % DOCUMENT
        longest = min(DOCUMENT, tokens)
        return x, {
            "position_ids": positions,
            "position_embeddings": self._rotary(x, positions),
            "cu_seq_lens_q": cumulated,
            "cu_seq_lens_k": cumulated,
            "max_length_q": longest,
            "max_length_k": longest,
        }
