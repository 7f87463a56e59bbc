"""Compile each kernel ahead of time for GPUs that this machine lacks; print sizes as JSON.

python tests/steps/train/model/kernels/compiled.py 86 89 90
"""

import json
import sys
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from triton.compiler.errors import CompilationError

from steps.train.model.fused.kernels import sources

HALF, NUMBER, COUNT = "*bf16", "fp32", "i32"
# Blocks as launched.py gives them for Ministral-3-3B: 32 heads of 128, rows of up to 9,216 numbers
KERNELS: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "gated": ({"gate": HALF, "up": HALF, "product": HALF, "count": COUNT}, {"BLOCK": 1024}),
    "gated_gradient": (
        dict.fromkeys(("gradient", "gate", "up", "product", "of_up"), HALF) | {"count": COUNT},
        {"BLOCK": 1024},
    ),
    "rotated": (
        dict.fromkeys(("x", "cos", "sin", "out"), HALF)
        | dict.fromkeys(("angles", "heads", "half"), COUNT)
        | {"direction": NUMBER},
        {"HEADS": 32, "HALF": 64},
    ),
    "quantized_rows": (
        {"x": HALF, "rows": "*fp8e4nv", "scales": "*fp32", "width": COUNT, "smallest": NUMBER},
        {"BLOCK": 16384},
    ),
}


def size(name: str, capability: int) -> Any:
    """Return the bytes of the kernel's machine code, or why it cannot be compiled."""
    signature, constants = KERNELS[name]
    source = ASTSource(
        getattr(sources, name),
        signature=signature | dict.fromkeys(constants, "constexpr"),
        constexprs=constants,
    )
    try:
        made = compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 8})
    except CompilationError as error:  # the test decides whether this was to be expected
        return f"{type(error).__name__}: {error}"
    return len(made.asm["cubin"])


if __name__ == "__main__":
    found = {each: {name: size(name, int(each)) for name in KERNELS} for each in sys.argv[1:]}
    print(json.dumps(found))  # noqa: T201 - read by the test
