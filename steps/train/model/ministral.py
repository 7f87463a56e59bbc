"""Load Ministral-3 for training: text only, FP8 base, packed attention, loss computed in `forward`.

    model = load(folder, precision)
    model(**collate(rows)).loss

The loss is computed in `forward` and not in a hook of the trainer, so that autocast, DDP and
activation checkpointing wrap one call.
"""

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import GenerationConfig, Mistral3Config, Mistral3ForConditionalGeneration
from transformers.modeling_outputs import CausalLMOutputWithPast

from steps.governance.errors import IntegrityError
from steps.train.data.packing import IGNORED
from steps.train.model import base_weights, chunked_loss, packed_attention
from steps.train.model.fp8_linear import NATIVE_ALIGNMENT, Fp8Linear
from steps.train.model.fused import modules
from steps.train.model.precision import Precision
from steps.train.planning.shapes import Shape


class PackedMinistral(Mistral3ForConditionalGeneration):
    """Ministral-3 without its vision tower. With labels it returns the loss and no logits."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        *,
        by_token: bool = False,
        label_positions: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the loss per target token, or, without labels, the logits for generation.

        Args:
            input_ids: (batch, tokens).
            labels: (batch, tokens), unshifted; `IGNORED` where no loss is computed. None calls
                transformers' own `forward`.
            num_items_in_batch: labelled tokens of the whole optimizer step. The summed negative log
                likelihood is divided by it, which makes accumulated gradients exact. None divides
                by the labelled tokens of this call.
            by_token: return the loss of each labelled token, (labelled tokens,), without gradient.
            label_positions: (labelled tokens,), as `collate` makes them; what follows attention in
                the last layer is then computed there only. None computes and searches all.
            **kwargs: positions and document borders, as `collate` makes them.
        """
        if labels is None:
            return super().forward(input_ids=input_ids, **kwargs)
        kwargs["use_cache"] = False  # with a cache, transformers ignores the document borders
        states = self._labelled(labels, label_positions, input_ids=input_ids, **kwargs)
        head = self.lm_head.weight
        if by_token:
            return CausalLMOutputWithPast(loss=chunked_loss.token_nll(*states, head=head))
        nll = chunked_loss.completion_nll(*states, head=head)
        targets = (
            (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        )
        return CausalLMOutputWithPast(loss=nll / targets)

    def _labelled(
        self, labels: Tensor, positions: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the last hidden states that predict a labelled token, and these tokens."""
        if positions is None or not len(positions):  # as in a blank row
            hidden = self.model(**kwargs).last_hidden_state  # (batch, tokens, width)
            return chunked_loss.labelled(hidden, labels)
        read = self.model(**kwargs, read_positions=positions).last_hidden_state
        return read[0], labels[0].index_select(0, positions + 1)


def load(folder: Path, precision: Precision, *, on: torch.device | None = None) -> PackedMinistral:
    """Load the base model with every parameter frozen, and FP8 bytes as they are on disk.

    Args:
        folder: the verified base model.
        precision: the arithmetic, and the device that will run the model.
        on: load to this device instead.

    Raises:
        IntegrityError: the files are not an FP8 Ministral-3, or a weight is missing, unknown or of
            another shape.
    """
    configuration = _configuration(folder)
    device, dtype = on or precision.device.torch_device, precision.dtype
    model = empty(configuration)
    expected = {name for name, _ in model.named_parameters()}
    for weight in base_weights.read(folder, device):
        expected.discard(weight.name)
        _place(model, weight, precision)
    model.tie_weights()
    if configuration.tie_word_embeddings:
        expected.discard(base_weights.HEAD)
    missing = sorted(expected)
    if missing:
        raise IntegrityError(
            "the base model lacks weights",
            expected="all of config.json's",
            got=", ".join(missing)[:300],
        )
    model.generation_config = GenerationConfig.from_pretrained(folder)
    nn.Module.to(model, device)
    nn.Module.train(model.requires_grad_(False), False)
    _check_dtype(model, dtype)
    return model


def empty(configuration: Mistral3Config) -> PackedMinistral:
    """Return the model without its vision tower and without the memory of its weights."""
    # Buffers are not empty: they are the rotary frequencies, computed in float32, and stay so.
    with init_empty_weights(include_buffers=False):
        model = PackedMinistral(configuration)
    model.model.vision_tower = model.model.multi_modal_projector = None
    modules.replace(model)
    return model


def one_layer(folder: Path) -> Mistral3Config:
    """Return the configuration of the model in this folder, cut to its first layer."""
    configuration = _configuration(folder)
    text: Any = configuration.text_config
    text.num_hidden_layers = 1
    return configuration


def shape(folder: Path) -> Shape:
    """Return the sizes of the model in this folder, without loading it.

    Raises:
        IntegrityError: the model is not an FP8 Ministral-3.
    """
    return Shape.of(_configuration(folder).text_config)


def _configuration(folder: Path) -> Mistral3Config:
    content = json.loads((folder / "config.json").read_bytes())
    base_weights.quantization(content, folder)
    if base_weights.has_head(folder):
        content["tie_word_embeddings"] = False
    return configured(content)


def configured(content: dict[str, Any]) -> Mistral3Config:
    """Return the configuration that config.json describes, for our attention."""
    # Without its quantization, Trainer, PEFT and save_pretrained handle an ordinary frozen model.
    stated = {name: value for name, value in content.items() if name != "quantization_config"}
    configuration = Mistral3Config.from_dict(stated)
    text: Any = configuration.text_config
    text.tie_word_embeddings = configuration.tie_word_embeddings
    text._attn_implementation = packed_attention.NAME
    return configuration


def _place(model: nn.Module, weight: base_weights.Weight, precision: Precision) -> None:
    """Put one weight into the model, as a parameter or as a new linear."""
    owner_name, _, kind = weight.name.rpartition(".")
    try:
        owner = model.get_submodule(owner_name)
        shape = owner.get_parameter(kind).shape
    except AttributeError:
        raise IntegrityError(
            "the base model has a weight that Ministral-3 does not", got=weight.name
        ) from None
    if shape != weight.tensor.shape:
        raise IntegrityError(
            f"base model weight {weight.name} has another shape",
            expected=str(tuple(shape)),
            got=str(tuple(weight.tensor.shape)),
        )
    if weight.scale is None:
        owner.register_parameter(
            kind, nn.Parameter(weight.tensor.to(precision.dtype), requires_grad=False)
        )
    else:
        model.set_submodule(owner_name, linear(weight.tensor, weight.scale, precision))


def linear(weight: Tensor, scale: Tensor, precision: Precision) -> nn.Linear:
    """Return the linear of an FP8 weight in the effective mode: FP8, dequantized or NF4."""
    native = precision.effective in ("native", "native_dx")
    native_gradient = precision.effective == "native_dx"
    if native and any(size % NATIVE_ALIGNMENT for size in weight.shape):
        raise IntegrityError(
            "a base model weight cannot be multiplied in FP8",
            expected=f"sizes that are multiples of {NATIVE_ALIGNMENT}",
            got=str(tuple(weight.shape)),
            do="use Fp8Mode storage",
        )
    layer = Fp8Linear(weight, scale, native=native, native_gradient=native_gradient)
    if native or precision.effective == "storage":
        return layer
    ordinary = nn.Parameter(layer.dequantized(precision.dtype), requires_grad=False)
    if precision.effective == "nf4":
        return _nf4(ordinary, precision.dtype)
    plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
    plain.weight = ordinary
    return plain


def _nf4(weight: nn.Parameter, dtype: torch.dtype) -> nn.Linear:
    """Quantize a dequantized weight to NF4.

    The weight has then been quantized twice, to FP8 and to NF4, so the model is not the released
    one. This mode only saves memory.
    """
    import bitsandbytes

    nf4: Any = bitsandbytes.nn
    layer = nf4.Linear4bit(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        compute_dtype=dtype,
        quant_type="nf4",
        device="meta",
    )
    layer.weight = nf4.Params4bit(
        weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    quantized: nn.Linear = layer.to(weight.device)  # quantization happens on this move
    return quantized


def _check_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Check that floating-point parameters have the recorded dtype, except the float32 scales."""
    other = {
        name
        for name, parameter in model.named_parameters()
        if parameter.is_floating_point()
        and parameter.dtype is not dtype
        and not name.endswith(".scale")
    }
    if other:
        raise IntegrityError(f"weights are not {dtype}", got=", ".join(sorted(other))[:300])
