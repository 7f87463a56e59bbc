"""Read Ministral-3's checkpoint tensor by tensor, and check its names, FP8 scheme and scales.

    language_model.model.layers.N.….weight              float8_e4m3fn, (out, in)
    language_model.model.layers.N.….weight_scale_inv    one number
    language_model.model.layers.N.….activation_scale    one number, not used
    language_model.lm_head.weight                       bfloat16, in models with an untied head
    all others                                          bfloat16

Despite the name, W = weight * weight_scale_inv. The activation scale is not used because this step
quantizes activations per token.

transformers' own loader is not used. Below compute capability 8.9 it dequantizes unasked, and
without `quantization_config` it loads the FP8 numbers without their scales; it only warns of both.
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
HEAD, _STORED_HEAD = "lm_head.weight", "language_model.lm_head.weight"  # in the model and on disk
_UNUSED = ("vision_tower.", "multi_modal_projector.")  # 0.8 GB; training uses text only
_SCALE, _ACTIVATION = ".weight_scale_inv", ".activation_scale"


@dataclass(frozen=True)
class Weight:
    """One tensor with its names in the model and on disk; `scale` is None unless it is FP8."""

    name: str
    stored_as: str
    tensor: Tensor
    scale: Tensor | None


def quantization(configuration: dict[str, object], folder: Path) -> None:
    """Check the declared FP8 scheme.

    Raises:
        IntegrityError: scales are block-wise or dynamic, or the model is not quantized to FP8.
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
    """Yield the weights of the language model one at a time, on `device`.

    With `vision`, also yield those of the vision tower and the projector.

    Raises:
        IntegrityError: a scale is missing, is not one finite positive number, or does not belong to
            an FP8 weight.
    """
    scales = _scales(folder)
    for path in files(folder):
        with safe_open(path, framework="pt", device=str(device)) as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is not a mapping
                if not _wanted(name, vision):
                    continue
                tensor, scale = tensors.get_tensor(name), scales.pop(name, None)
                yield Weight(_runtime_name(name), name, tensor, _checked(name, tensor, scale))
    if scales:
        raise IntegrityError(
            "the base model has scales without weights", got=", ".join(sorted(scales))[:300]
        )


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by its name on disk. Only file headers are read.

    The order is that of `read` with `vision`.
    """
    found = {}
    for path in files(folder):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is not a mapping
                if _wanted(name, vision=True):
                    found[name] = tuple(tensors.get_slice(name).get_shape())
    return found


def has_head(folder: Path) -> bool:
    """Return whether the files have a head of their own: 8B and 14B do, 3B uses its embedding.

    The file decides, and not `tie_word_embeddings`: config.json may state it twice, differently.
    """
    return not {HEAD, _STORED_HEAD}.isdisjoint(shapes(folder))


def _wanted(name: str, vision: bool) -> bool:
    return not name.endswith((_SCALE, _ACTIVATION)) and (vision or not name.startswith(_UNUSED))


def files(folder: Path) -> list[Path]:
    """Return the safetensors files that the index names.

    `consolidated.safetensors` is not among them: it holds the same weights under other names.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = set(json.loads(index.read_bytes())["weight_map"].values())
        return [folder / name for name in sorted(names)]
    return [folder / "model.safetensors"]


def _scales(folder: Path) -> dict[str, Tensor]:
    """Return the scales by the name of their weight.

    They are read before the weights, because a weight and its scale may be in different files.
    """
    found = {}
    for path in files(folder):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - safe_open is not a mapping
                if name.endswith(_SCALE) and not name.startswith(_UNUSED):
                    found[name.removesuffix("_scale_inv")] = tensors.get_tensor(name)
    return found


def _runtime_name(name: str) -> str:
    if name == _STORED_HEAD:
        return HEAD
    return _RUNTIME + name.removeprefix(_TEXT) if name.startswith(_TEXT) else name


def _checked(name: str, tensor: Tensor, scale: Tensor | None) -> Tensor | None:
    """Return the scale of a weight, which must be there for FP8 and only for FP8."""
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
