"""Make a tiny Ministral-3 with random weights, in the exact checkpoint format of the real one.

    python -m pipeline.local.setup.tiny_model --output .local/base-model

The architecture is the same (Mistral3: Ministral-3 text model, Pixtral vision tower), and so are
the FP8 scheme (per-tensor static e4m3 with scalar `weight_scale_inv` and `activation_scale`,
everything else bfloat16), the control ids, the chat format, and the `mirror.json` that
scripts/mirror-model writes for a model from the hub. The model replaces Ministral-3-3B where no
GPU is available; it has learned nothing. The same seed and text give the same bytes. The last line
printed is the revision: 40 hexadecimal digits computed from the content.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from pipeline.local.setup.tiny_configuration import (
    PATCH,
    SHAPES,
    TINY,
    VISION_FFN,
    VISION_HIDDEN,
    VISION_LAYERS,
    Shape,
    write_configuration,
)
from pipeline.local.setup.tiny_tokenizer import built_in_text, write_json, write_tokenizer

E4M3_MAX = 448.0  # the largest finite value of torch.float8_e4m3fn
# Standard deviation of the embedding. With random weights only the adapters can learn, through a
# tied output head that is frozen. Measured on real filings, 30 steps of 2,048 tokens: with 0.05 the
# loss ends higher; with 0.2 it starts 2 nats higher and ends higher too.
EMBEDDING_STD = 0.1


def main() -> int:
    """Write the model and print its revision."""
    arguments, parser = _parse()
    if arguments.output.exists() and any(arguments.output.iterdir()):
        parser.error(f"--output: expected an absent or empty folder, got {arguments.output}")
    text = (
        built_in_text()
        if arguments.text == "built-in"
        else Path(arguments.text).read_text(encoding="utf-8").splitlines()
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    shape = SHAPES[arguments.shape]
    revision = write(
        arguments.output, text=text, seed=arguments.seed, name=arguments.name, shape=shape
    )
    sys.stdout.write(f"{revision}\n")
    return 0


def _parse() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local.setup.tiny_model",
        description=(__doc__ or "").split("\n\n")[0],
    )
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
        "--name", default="tiny-ministral-3", help="name in mirror.json (default %(default)s)"
    )
    return parser.parse_args(), parser


def write(folder: Path, *, text: list[str], seed: int, name: str, shape: Shape = TINY) -> str:
    """Write the model's files into an empty folder and return its revision."""
    write_tokenizer(folder, text, shape.vocabulary)
    write_configuration(folder, shape)
    write_weights(folder, seed, shape)
    return write_mirror(folder, name)


def weight_sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the size of every weight by its name in the file.

    A test compares these names and sizes with those of the class in transformers.
    """
    hidden = shape.hidden
    return {
        "language_model.model.embed_tokens.weight": (shape.vocabulary, hidden),
        "language_model.model.norm.weight": (hidden,),
        **({} if shape.tied else {"language_model.lm_head.weight": (shape.vocabulary, hidden)}),
        **{
            f"language_model.model.layers.{i}.{name}.weight": sizes
            for i in range(shape.layers)
            for name, sizes in _text_layer_sizes(shape).items()
        },
        "vision_tower.patch_conv.weight": (VISION_HIDDEN, 3, PATCH, PATCH),
        "vision_tower.ln_pre.weight": (VISION_HIDDEN,),
        **{
            f"vision_tower.transformer.layers.{i}.{name}.weight": sizes
            for i in range(VISION_LAYERS)
            for name, sizes in _vision_layer_sizes().items()
        },
        "multi_modal_projector.norm.weight": (VISION_HIDDEN,),
        "multi_modal_projector.patch_merger.merging_layer.weight": (
            VISION_HIDDEN,
            4 * VISION_HIDDEN,
        ),
        "multi_modal_projector.linear_1.weight": (hidden, VISION_HIDDEN),
        "multi_modal_projector.linear_2.weight": (hidden, hidden),
    }


def _text_layer_sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the sizes of one decoder layer: (out, in) of its linears, (hidden,) of its norms."""
    hidden, ffn = shape.hidden, shape.ffn
    queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    return {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }


def _vision_layer_sizes() -> dict[str, tuple[int, ...]]:
    """Return the sizes of one layer of the vision tower."""
    square, wide = (VISION_HIDDEN, VISION_HIDDEN), (VISION_FFN, VISION_HIDDEN)
    return {
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


def write_weights(folder: Path, seed: int, shape: Shape) -> None:
    """Write model.safetensors: the decoder's linears in e4m3 with scales, the rest in bfloat16."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, sizes in weight_sizes(shape).items():
        ends = ("embed_tokens", "lm_head")
        std = EMBEDDING_STD if any(end in name for end in ends) else sizes[-1] ** -0.5
        weight = (
            torch.ones(sizes) if len(sizes) == 1 else torch.randn(sizes, generator=generator) * std
        )
        if name.startswith("language_model.model.layers.") and "_proj." in name:
            # The scale maps the largest magnitude of the weight to the largest value of e4m3.
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
    """Write mirror.json and return the revision.

    mirror.json lists every file with its size in bytes and its sha256. The revision is the sha1 of
    that list, as long as a git commit of the hub.
    """
    files = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files.append(
            {"path": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        )
    revision = hashlib.sha1(
        json.dumps(files, sort_keys=True).encode(), usedforsecurity=False
    ).hexdigest()
    write_json(folder / "mirror.json", {"name": name, "revision": revision, "files": files})
    return revision


if __name__ == "__main__":
    sys.exit(main())
