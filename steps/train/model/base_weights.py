"""Ministral-3's checkpoint on disk, read tensor by tensor: names, FP8 scheme and scales are checked, nothing is
guessed.

    language_model.model.layers.N.….weight              float8_e4m3fn (out, in)
    language_model.model.layers.N.….weight_scale_inv    one number: W = weight * weight_scale_inv, despite the name
    language_model.model.layers.N.….activation_scale    one number, unused: activations are quantized per token here
    everything else                                     bfloat16

transformers' own loader is not used for these: below compute capability 8.9 it dequantizes without being asked, and
with `quantization_config` removed it loads the FP8 numbers without their scales, both with no more than a warning.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from steps.governance.errors import IntegrityError

_TEXT = "language_model.model."  # on disk
_RUNTIME = "model.language_model."  # in transformers 5
_UNUSED = ("vision_tower.", "multi_modal_projector.")  # text only: 0.8 GB that no filing needs
_SCALE, _ACTIVATION = ".weight_scale_inv", ".activation_scale"


@dataclass(frozen=True)
class Weight:
    """One tensor under its name in the model and on disk; `scale` only if it is FP8."""

    name: str
    stored_as: str
    tensor: Tensor
    scale: Tensor | None


def quantization(configuration: dict[str, object], folder: Path) -> None:
    """Check the declared FP8 scheme.

    Raises:
        IntegrityError: block-wise or dynamic scales, or no FP8 at all.
    """
    declared = configuration.get("quantization_config")
    got = declared if isinstance(declared, dict) else {}
    scheme = (got.get("quant_method"), got.get("activation_scheme"), got.get("weight_block_size"))
    if scheme != ("fp8", "static", None):
        raise IntegrityError(
            f"the base model in {folder.name} is not quantized the way this trainer reads",
            expected="quant_method fp8, activation_scheme static, weight_block_size null",
            got=json.dumps(declared)[:300],
            do="mirror the FP8 release of Ministral-3, not its BF16 twin",
        )


def read(folder: Path, device: torch.device, *, vision: bool = False) -> Iterator[Weight]:
    """Every weight of the language model, one at a time, on `device`; with `vision`, those of tower and projector too.

    Raises:
        IntegrityError: a scale is missing, not one finite positive number, or belongs to no FP8 weight.
    """
    scales = _scales(folder)
    for path in files(folder):
        with safe_open(path, framework="pt", device=str(device)) as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                if not _wanted(name, vision):
                    continue
                tensor, scale = tensors.get_tensor(name), scales.pop(name, None)
                yield Weight(_runtime_name(name), name, tensor, _checked(name, tensor, scale))
    if scales:
        raise IntegrityError(
            "the base model has scales without weights", got=", ".join(sorted(scales))[:300]
        )


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every weight's shape by its name on disk, in the order in which `read` gives them with `vision`. Headers only."""
    found = {}
    for path in files(folder):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                if _wanted(name, vision=True):
                    found[name] = tuple(tensors.get_slice(name).get_shape())
    return found


def _wanted(name: str, vision: bool) -> bool:
    return not name.endswith((_SCALE, _ACTIVATION)) and (vision or not name.startswith(_UNUSED))


def files(folder: Path) -> list[Path]:
    """The shards that the index names; `consolidated.safetensors` holds the same weights again under other names."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return [
            folder / name
            for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        ]
    return [folder / "model.safetensors"]


def _scales(folder: Path) -> dict[str, Tensor]:
    """Scales by the name of their weight. They are read first: a shard border may part a weight from its scale."""
    found = {}
    for path in files(folder):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                if name.endswith(_SCALE) and not name.startswith(_UNUSED):
                    found[name.removesuffix("_scale_inv")] = tensors.get_tensor(name)
    return found


def _runtime_name(name: str) -> str:
    return _RUNTIME + name.removeprefix(_TEXT) if name.startswith(_TEXT) else name


def _checked(name: str, tensor: Tensor, scale: Tensor | None) -> Tensor | None:
    if (tensor.dtype is torch.float8_e4m3fn) != (scale is not None):
        raise IntegrityError(
            f"base model weight {name} is inconsistent",
            expected="float8_e4m3fn with weight_scale_inv, or another dtype without",
            got=f"{tensor.dtype} {'with' if scale is not None else 'without'} weight_scale_inv",
        )
    if scale is not None and (scale.numel() != 1 or not 0 < scale.item() < float("inf")):
        raise IntegrityError(
            f"the scale of base model weight {name} cannot be used",
            expected="one finite number above 0",
            got=f"{scale.numel()} numbers" if scale.numel() != 1 else str(scale.item()),
        )
    return scale
