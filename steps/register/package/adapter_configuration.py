"""Check `adapter_config.json`: plain LoRA as Train writes it, and the linears that it names.

    plain = check_configuration(read_json(path), base)
    plain.rank, plain.modules          # 16, {"model.language_model.layers.0.self_attn.q_proj", …}

PEFT has many variants of LoRA, which change the product, the shapes or the base's own weights.
Train uses none of them, so a configuration that names one is refused.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from steps.register.package.base_model import BaseModel
from steps.register.package.refusal import refused

NAME = "adapter_config.json"
# Train's is 2. The scaling multiplies what the adapter adds to each layer; rsLoRA, the largest that
# is in use, has alpha / sqrt(r), 16 for the common alpha of 256 at rank 256.
MAX_SCALING = 16.0
_MAX_RANK = 1024
# Train's pattern over some or all of the seven linears. The pattern is not run: it is untrusted.
_TARGETS = re.compile(
    r"\.\*language_model\.\*\\\.(?:\((?P<some>[a-z|]{1,60})\)|(?P<one>[a-z]+))_proj"
)
# Keys of PEFT's LoraConfig whose use makes it another product, other shapes or another base
_VARIANTS = (
    *("use_rslora", "use_dora", "use_qalora", "use_bdlora", "rank_pattern", "alpha_pattern"),
    *("fan_in_fan_out", "lora_bias", "modules_to_save", "layers_to_transform", "layers_pattern"),
    *("layer_replication", "exclude_modules", "trainable_token_indices", "target_parameters"),
    *("arrow_config", "alora_invocation_tokens", "megatron_config", "velora_config"),
    *("monteclora_config", "kasa_config", "lora_ga_config", "eva_config", "corda_config"),
)


@dataclass(frozen=True)
class PlainLora:
    """Rank, scaling (alpha / rank) and the names of the adapted linears."""

    rank: int
    scaling: float
    modules: frozenset[str]


def check_configuration(document: dict[str, Any], base: BaseModel) -> PlainLora:
    """Return rank, scaling and adapted linears.

    Raises:
        IntegrityError: not plain LoRA with a usable rank and scaling, on linears of the base.
    """
    if document.get("peft_type") != "LORA":
        raise refused(NAME, "peft_type LORA", repr(document.get("peft_type"))[:60])
    if others := [key for key in _VARIANTS if document.get(key)]:
        raise refused(NAME, "plain LoRA: alpha / r * B @ A", ", ".join(others))
    if document.get("bias", "none") != "none":
        raise refused(NAME, "bias none", repr(document["bias"])[:60])
    if document.get("init_lora_weights", True) is not True:
        raise refused(NAME, "init_lora_weights true", repr(document["init_lora_weights"])[:60])
    rank, alpha = document.get("r"), document.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= _MAX_RANK:
        raise refused(NAME, f"r from 1 to {_MAX_RANK}", repr(rank)[:60])
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise refused(NAME, "a number as lora_alpha", repr(alpha)[:60])
    if not 0 < alpha <= MAX_SCALING * rank:
        expected = f"lora_alpha / r above 0 and at most {MAX_SCALING:g}"
        raise refused(NAME, expected, f"lora_alpha {alpha:g}, r {rank}")
    return PlainLora(rank, alpha / rank, _modules(document.get("target_modules"), base))


def _modules(targets: object, base: BaseModel) -> frozenset[str]:
    """Return the base's linears that Train's pattern names.

    PEFT takes a list of names too, but these would match the vision tower's linears as well.
    """
    found = _TARGETS.fullmatch(targets) if isinstance(targets, str) else None
    kinds = (found["some"] or found["one"]).split("|") if found else []
    named = {kind: {n for n in base.linears if n.endswith(f".{kind}_proj")} for kind in kinds}
    if not named or not all(named.values()):
        expected = r"target_modules .*language_model.*\.(…)_proj over q, k, v, o, gate, up, down"
        raise refused(NAME, expected, ascii(targets)[:120])
    return frozenset().union(*named.values())
