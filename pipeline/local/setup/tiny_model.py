#!/usr/bin/env python
"""Make a tiny Ministral-3 with random weights, in the exact checkpoint format of the real one.

    scripts/make-tiny-model --output .local/base-model

Same architecture (Mistral3: Ministral-3 text model, Pixtral tower), same FP8 scheme (per-tensor static e4m3 with scalar
`weight_scale_inv` and `activation_scale`, everything else bfloat16), same control ids and chat format, and the
`mirror.json` that scripts/mirror-model writes for a model from the hub. It stands in for Ministral-3-3B where there is
no GPU; it knows nothing. The same seed and text give the same bytes. The last line printed is the revision: 40 hex digits
of the content. scripts/bench-train measures on the larger shapes.
"""

import argparse
import hashlib
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

CONTROL_TOKENS = """
<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad>
[IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]
""".split()  # noqa: SIM905 - mistral-common's v13 tekken, ids 0 to 19
TEKKEN_PATTERN = (  # how tekken splits text before byte-pair encoding; every digit is a token
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'system' %}{{- '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}
{%- elif message['role'] == 'user' %}{{- '[INST]' + message['content'] + '[/INST]' }}
{%- elif message['role'] == 'assistant' %}{{- message['content'] + eos_token }}
{%- else %}{{- raise_exception('expected system, user or assistant, got ' + message['role']) }}{%- endif %}
{%- endfor %}
"""
WORDS = """
the and our of to in or we may could be for as are business on that products other with have financial these which
operations results from not by if us including is any such future ability significant will customers adversely an affect
costs market changes new stock subject laws also at increase certain impact operating sales can their rights risks factors
product price condition property revenue additional assets this time cost services markets information regulations demand
more economic intellectual company consumer conditions common tax value technologies some foreign would do reduce debt than
third material employees related continue prices harm cash under management due technology all effect failure acquisitions
data control revenues increased loss supply customer rates capital development able well credit companies interest there use
it regulatory requirements competitors systems terms contracts required no unable those negatively states maintain
international obtain suppliers claims litigation general make over successfully parties experience global existing number
profitability potential key generally investments compete industry million based significantly decline security negative
develop has year substantial change obligations against benefits competitive service into personnel through term success
trade protection resources countries losses agreements distribution many income one incur actions various expenses
competition cause meet materially government levels sell activities transactions liabilities anticipated include but federal
provide events reputation been performance difficult current relationships production cannot impairment they lower
manufacturing extent expected growth stockholders depend period past shares higher limited investment disruptions upon
reporting net pay fluctuations when purchase were efforts legal while exchange restrictions insurance successful volatility
comply highly report plans networks depends protect liability example earnings sufficient inventory currency notes effective
others long damage state amount privacy process attract uncertainties because brands dependent software strategic providers
materials strategy similar prevent retain access policies opportunities who amounts outside alternative annual timely
proprietary disruption however patents practices respond delays acceptance fiscal percent approximately total compared
primarily prior quarter ended increased decreased
"""


@dataclass(frozen=True)
class Shape:
    """The language model's sizes; `rope_tokens` is the context that YaRN stretches."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    rope_tokens: int = 4096


TINY = Shape(128, 384, 2, 4, 2, 32, 1024)
SHAPES = {
    "tiny": TINY,
    "small": Shape(256, 768, 4, 8, 2, 32, 8192),
    # transformers' configuration_ministral3.py and arXiv 2601.08584; only the vision tower stays small
    "ministral-3-3b": Shape(3072, 9216, 26, 32, 8, 128, 131072, rope_tokens=16384),
}
VISION_HIDDEN, VISION_FFN, VISION_LAYERS, PATCH = 32, 64, 1, 16
E4M3_MAX = 448.0
# With random weights only the adapters can learn, through a tied output head that is frozen. Measured on real filings, 30
# steps of 2,048 tokens: 0.05 ends higher, 0.2 starts 2 nats higher and ends higher too.
EMBEDDING_STD = 0.1


def main() -> int:
    """Write the model and print its revision."""
    summary = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to write; must not exist or be empty"
    )
    parser.add_argument("--seed", type=int, default=17, help="seed of the weights (default 17)")
    parser.add_argument(
        "--shape", choices=SHAPES, default="tiny", help="sizes of the language model (default tiny)"
    )
    parser.add_argument(
        "--text", default="built-in", help="UTF-8 file for the tokenizer's vocabulary, or built-in"
    )
    parser.add_argument(
        "--name",
        default="tiny-ministral-3",
        help="the name that mirror.json gives (default %(default)s)",
    )
    arguments = parser.parse_args()
    if arguments.output.exists() and any(arguments.output.iterdir()):
        parser.error(f"--output: expected an absent or empty folder, got {arguments.output}")
    text = (
        built_in_text()
        if arguments.text == "built-in"
        else Path(arguments.text).read_text(encoding="utf-8").splitlines()
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[arguments.shape]
    print(write(arguments.output, text=text, seed=arguments.seed, name=arguments.name, shape=shape))
    return 0


def write(folder: Path, *, text: list[str], seed: int, name: str, shape: Shape = TINY) -> str:
    """Write the model's files into an empty folder; its revision."""
    write_tokenizer(folder, text, shape.vocabulary)
    write_configuration(folder, shape)
    write_weights(folder, seed, shape)
    return write_mirror(folder, name)


def built_in_text() -> list[str]:
    """Sentences of the words that filings use most, the frequent ones often: for the tokenizer's vocabulary only."""
    words, draw = WORDS.split(), random.Random(0)  # noqa: S311 - reproducible, not secret
    weights = [1 / (rank + 10) for rank in range(len(words))]  # Zipf's law, flattened at its head
    sentences = []
    for _ in range(2000):
        picked = draw.choices(words, weights, k=draw.randint(8, 30))
        figures = f"${draw.randint(1, 999)} million in fiscal {draw.randint(1994, 2024)}"
        sentences.append(f"{picked[0].capitalize()} {' '.join(picked[1:])}, {figures}.")
    return sentences


def write_tokenizer(folder: Path, text: list[str], vocabulary: int = TINY.vocabulary) -> None:
    """A byte-level BPE tokenizer with tekken's pattern and control ids, and the chat template."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(TEKKEN_PATTERN), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[
            AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS
        ],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    _write_json(folder / "special_tokens_map.json", names)
    _write_json(
        folder / "tokenizer_config.json",
        names
        | {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "add_bos_token": False,
        },
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def write_configuration(folder: Path, shape: Shape = TINY) -> None:
    """config.json and generation_config.json, as on the hub but for the sizes."""
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11}
    rope = {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 16.0,
        "original_max_position_embeddings": shape.rope_tokens,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": 0.1,
    }
    text = {
        "model_type": "ministral3",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": 16 * shape.rope_tokens,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "sliding_window": None,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "rope_parameters": rope,
        **ids,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": VISION_HIDDEN,
        "intermediate_size": VISION_FFN,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": 1,
        "head_dim": VISION_HIDDEN,
        "image_size": 64,
        "patch_size": PATCH,
        "num_channels": 3,
        "hidden_act": "silu",
        "rope_parameters": {"rope_type": "axial", "rope_theta": 10000.0},
    }
    kept = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
    quantization = {
        "quant_method": "fp8",
        "activation_scheme": "static",
        "weight_block_size": None,
        "modules_to_not_convert": kept,
    }
    configuration = {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "dtype": "bfloat16",
        "image_token_index": 10,
        "spatial_merge_size": 2,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "tie_word_embeddings": True,
        "text_config": text,
        "vision_config": vision,
        "quantization_config": quantization,
        "transformers_version": "5.23.0",
    }
    _write_json(folder / "config.json", configuration)
    _write_json(folder / "generation_config.json", ids | {"max_length": 16 * shape.rope_tokens})


def shapes(shape: Shape = TINY) -> dict[str, tuple[int, ...]]:
    """Every weight by its name on disk; a test holds this list to the class in transformers."""
    hidden, ffn = shape.hidden, shape.ffn
    attention, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    text: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (attention, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, attention),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }
    square, wide = (VISION_HIDDEN, VISION_HIDDEN), (VISION_FFN, VISION_HIDDEN)
    vision: dict[str, tuple[int, ...]] = {
        "attention_norm": (VISION_HIDDEN,),
        "ffn_norm": (VISION_HIDDEN,),
        "attention.q_proj": square,
        "attention.k_proj": square,
        "attention.v_proj": square,
        "attention.o_proj": square,
        "feed_forward.gate_proj": wide,
        "feed_forward.up_proj": wide,
        "feed_forward.down_proj": (VISION_HIDDEN, VISION_FFN),
    }
    return {
        "language_model.model.embed_tokens.weight": (shape.vocabulary, hidden),
        "language_model.model.norm.weight": (hidden,),
        **{
            f"language_model.model.layers.{i}.{name}.weight": sizes
            for i in range(shape.layers)
            for name, sizes in text.items()
        },
        "vision_tower.patch_conv.weight": (VISION_HIDDEN, 3, PATCH, PATCH),
        "vision_tower.ln_pre.weight": (VISION_HIDDEN,),
        **{
            f"vision_tower.transformer.layers.{i}.{name}.weight": sizes
            for i in range(VISION_LAYERS)
            for name, sizes in vision.items()
        },
        "multi_modal_projector.norm.weight": (VISION_HIDDEN,),
        "multi_modal_projector.patch_merger.merging_layer.weight": (
            VISION_HIDDEN,
            4 * VISION_HIDDEN,
        ),
        "multi_modal_projector.linear_1.weight": (hidden, VISION_HIDDEN),
        "multi_modal_projector.linear_2.weight": (hidden, hidden),
    }


def write_weights(folder: Path, seed: int, shape: Shape = TINY) -> None:
    """model.safetensors: the language model's linears in e4m3 with their scales, the rest in bfloat16."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, sizes in shapes(shape).items():
        std = EMBEDDING_STD if "embed_tokens" in name else sizes[-1] ** -0.5
        weight = (
            torch.ones(sizes) if len(sizes) == 1 else torch.randn(sizes, generator=generator) * std
        )
        if name.startswith("language_model.model.layers.") and "_proj." in name:
            scale = (weight.abs().amax() / E4M3_MAX).to(torch.bfloat16)
            quantized = (weight / scale.float()).clamp(-E4M3_MAX, E4M3_MAX)
            tensors[name] = quantized.to(torch.float8_e4m3fn)
            tensors[f"{name}_scale_inv"] = scale
            tensors[name.replace(".weight", ".activation_scale")] = torch.tensor(
                0.05, dtype=torch.bfloat16
            )
        else:
            tensors[name] = weight.to(torch.bfloat16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_mirror(folder: Path, name: str) -> str:
    """mirror.json: every file with size and sha256; the revision is the sha1 of that list."""
    files = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files.append(
            {"path": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        )
    revision = hashlib.sha1(
        json.dumps(files, sort_keys=True).encode(), usedforsecurity=False
    ).hexdigest()
    _write_json(folder / "mirror.json", {"name": name, "revision": revision, "files": files})
    return revision


def _write_json(path: Path, document: dict[str, object]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
