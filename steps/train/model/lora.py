"""Add, save and load LoRA adapters of the language model's linears.

Adapters are added by a pattern. A list of names (`q_proj`, …) or PEFT's `all-linear` would also
match the Pixtral vision tower: a third of the adapters would then never get a gradient on text, and
DDP would fail on them.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from steps.governance.errors import IntegrityError
from steps.train.distributed import fsdp, processes
from steps.train.model.lora_linear import create_lora_layer
from steps.train.model.ministral import PackedMinistral

TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
ADAPTERS, CONFIGURATION = "adapter_model.safetensors", "adapter_config.json"  # PEFT's names
_SAVED = "base_model.model."  # PEFT's prefix of module names
_A, _B = ".lora_A.weight", ".lora_B.weight"
# Variants of LoRA whose product is not alpha / r * B @ A; add_adapters uses none of them.
_OTHER_PRODUCTS = (
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "lora_bias",
)


def add_adapters(model: PackedMinistral, rank: int, *, base_model: str, revision: str) -> PeftModel:
    """Return the model with trainable float32 adapters of this rank.

    They have no dropout and are scaled by alpha / rank = 2.

    Args:
        model: the base model, frozen.
        rank: of every adapter.
        base_model: the base's name, for adapter_config.json.
        revision: the base's revision, for adapter_config.json.
    """
    model.name_or_path = model.config.name_or_path = base_model
    configuration = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        bias="none",
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
        revision=revision,
    )
    factory: Any = create_lora_layer  # PEFT expects a class and calls it
    configuration._register_custom_module({nn.Linear: factory})
    with warnings.catch_warnings():  # peft 0.21 reads a property that transformers 5.23 has renamed
        warnings.filterwarnings(
            "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
        )
        # float32 adapters: in bfloat16, small updates would be rounded away.
        adapted = get_peft_model(model, configuration, autocast_adapter_dtype=True)
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            # autocast casts inputs already; PEFT's own cast would keep a copy of every input.
            layer.cast_input_dtype_enabled = False
    return adapted


def save_adapters(model: PeftModel, folder: Path) -> None:
    """Write adapter_model.safetensors and adapter_config.json. Every process must call this.

    The leader writes. The base is not saved; adapter_config.json names it and its revision.
    """
    whole = fsdp.whole_adapters(model) if fsdp.is_sharded(model) else None
    if not processes.here().is_leader:
        return
    # With embedding layers, PEFT would ask the hub for the base model's vocabulary size.
    model.save_pretrained(str(folder), state_dict=whole, save_embedding_layers=False)
    # PEFT's model card is an empty template; report/write.py writes ours.
    (folder / "README.md").unlink(missing_ok=True)


def load_adapters(model: PeftModel, folder: Path) -> None:
    """Load saved adapters into the model, bit for bit. Every process must call this.

    The leader reads the file and sends the tensors, because hosts share no disk.

    Raises:
        IntegrityError: names or shapes differ from the model's adapters. PEFT would only warn, and
            leave the adapters without a saved tensor as they are.
    """
    saved = processes.here().from_leader(lambda: load_file(folder / "adapter_model.safetensors"))
    wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    shapes, expected = (
        {name: tuple(t.shape) for name, t in tensors.items()} for tensors in (saved, wanted)
    )
    if shapes != expected:
        differing = sorted(n for n in shapes.keys() | expected if shapes.get(n) != expected.get(n))
        raise IntegrityError(
            f"the adapters in {folder.name} are of another model",
            expected=f"{len(expected)} tensors of this model",
            got=f"{len(shapes)} tensors; {differing[0]} differs",
            do="start a new execution",
        )
    set_peft_model_state_dict(
        model, {name: fsdp.part_of(tensor, wanted[name]) for name, tensor in saved.items()}
    )


@torch.no_grad()
def overwrite(model: PeftModel, value: float) -> None:
    """Set every weight of the adapters to `value`, in this process's part of them."""
    for name, parameter in model.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            parameter.fill_(value)


@dataclass
class SavedAdapters:
    """The adapters of a folder, read one at a time. Each can be taken once.

    Attributes:
        scaling: alpha / r.
        left: names of the model's weights whose adapter has not been taken yet.
    """

    scaling: float
    left: set[str]
    _tensors: Any

    def take(self, weight: str) -> Tensor | None:
        """Return what LoRA adds to a weight: alpha / r * B @ A, (out, in), float32.

        None if the weight has no adapter.
        """
        if weight not in self.left:
            return None
        self.left.remove(weight)
        module = _SAVED + weight.removesuffix(".weight")
        # (r, in), (out, r)
        a, b = (self._tensors.get_tensor(module + kind).float() for kind in (_A, _B))
        product: Tensor = b @ a
        return product.mul_(self.scaling)


@contextmanager
def saved(folder: Path) -> Iterator[SavedAdapters]:
    """Open the adapters that `save_adapters` wrote to `folder`.

    Raises:
        IntegrityError: a tensor is not part of an A, B pair, or the configuration is a variant of
            LoRA with another product.
    """
    configuration = json.loads((folder / CONFIGURATION).read_bytes())
    if others := [key for key in _OTHER_PRODUCTS if configuration.get(key)]:
        raise IntegrityError(
            "the adapters cannot be multiplied out",
            expected="plain LoRA: alpha / r * B @ A",
            got=", ".join(others),
        )
    with safe_open(folder / ADAPTERS, framework="pt") as tensors:
        names = set(tensors.keys())
        modules = {name.removesuffix(_A) for name in names if name.endswith(_A)}
        if names != {module + kind for module in modules for kind in (_A, _B)}:
            raise IntegrityError(
                "the adapters are not pairs",
                expected="lora_A and lora_B of each linear",
                got=f"{len(names)} tensors",
            )
        weights = {module.removeprefix(_SAVED) + ".weight" for module in modules}
        yield SavedAdapters(configuration["lora_alpha"] / configuration["r"], weights, tensors)
