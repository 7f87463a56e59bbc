"""Check that Train can use a whole model: Ministral-3 in its FP8 release, with its own tokenizer.

    trainable.faults(folder)     # [("config.json", "expected quant_method fp8 …")]

The rules are those of steps/train (model/base_weights.py, model/ministral.py,
data/chat_template.py), which pipeline/ may not import; tests hold them equal.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.base_model.files import INDEX, SINGLE, few, header

Fault = tuple[str, str]

MODEL_TYPE = "mistral3"
SCHEME = {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None}
GENERATION = "generation_config.json"
# The ids of mistral-common's v13 tekken tokenizer, the same in every Ministral-3.
CONTROL_IDS = {
    "<s>": 1,
    "</s>": 2,
    "[INST]": 3,
    "[/INST]": 4,
    "[SYSTEM_PROMPT]": 17,
    "[/SYSTEM_PROMPT]": 18,
}
_FP8, _SCALE = "F8_E4M3", "_scale_inv"
_VISION = ("vision_tower.", "multi_modal_projector.")  # Train does not load these tensors
_RELEASE = "mirror the FP8 release of Ministral-3"


def faults(folder: Path) -> list[Fault]:
    """Return every reason why Train would refuse a model whose files are whole (`files.faults`)."""
    return [*_configuration(folder), *_tokenizer(folder), *_scales(folder)]


def _configuration(folder: Path) -> Iterator[Fault]:
    content = json.loads((folder / "config.json").read_bytes())
    if content.get("model_type") != MODEL_TYPE:
        yield (
            "config.json",
            f"expected model_type {MODEL_TYPE}, got {content.get('model_type')!r}; {_RELEASE}",
        )
    declared: Any = content.get("quantization_config")
    got = {key: declared.get(key) for key in SCHEME} if isinstance(declared, dict) else None
    if got != SCHEME:
        expected = ", ".join(
            f"{key} {'null' if value is None else value}" for key, value in SCHEME.items()
        )
        yield (
            "config.json",
            f"expected {expected}, got {json.dumps(got)}; {_RELEASE}, not its BF16 twin",
        )
    if not isinstance(content.get("text_config"), dict):
        yield "config.json", f"expected text_config, got none; {_RELEASE}"
    if not (folder / GENERATION).is_file():
        yield GENERATION, "is missing, and Train needs it; download it again"


def _tokenizer(folder: Path) -> Iterator[Fault]:
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # noqa: BLE001  tokenizers raises plain Exception for a bad file
        yield (
            "tokenizer.json",
            f"is not a tokenizer ({str(error)[:80]}); {_RELEASE} with its own tokenizer.json",
        )
        return
    got = {token: tokenizer.token_to_id(token) for token in CONTROL_IDS}
    if got != CONTROL_IDS:
        yield (
            "tokenizer.json",
            (
                f"expected control tokens {CONTROL_IDS}, got {got}; "
                f"{_RELEASE} with its own tokenizer.json"
            ),
        )


def _scales(folder: Path) -> Iterator[Fault]:
    """Each FP8 weight needs its scale, which may be in another shard."""
    index = folder / INDEX
    shards = (
        sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if index.is_file()
        else [SINGLE]
    )
    tensors = {name: kind for shard in shards for name, kind in header(folder / shard).items()}
    tensors = {name: kind for name, kind in tensors.items() if not name.startswith(_VISION)}
    fp8 = {name for name, kind in tensors.items() if kind == _FP8}
    scaled = {name.removesuffix(_SCALE) for name in tensors if name.endswith(_SCALE)}
    if not fp8:
        yield "weights", f"expected FP8 (float8_e4m3fn) tensors, got none; {_RELEASE}"
    if lacking := sorted(fp8 - scaled):
        yield (
            "weights",
            (
                f"expected a weight{_SCALE} for each FP8 tensor, got none for {few(lacking)}; "
                f"{_RELEASE}"
            ),
        )
    if extra := sorted(scaled - fp8):
        yield (
            "weights",
            f"expected an FP8 tensor for each scale, got none for {few(extra)}; {_RELEASE}",
        )
