"""What two runs of the same inputs share.

* seeded: seeds of adapters, packing and order. Bit-equal on CPU; on a GPU sums may be added in another order.
* full: also no kernel whose sums depend on chance. An operation that has no other kernel raises. Slower.
"""

from transformers import enable_full_determinism, set_seed


def apply(mode: str, seed: int) -> None:
    """Set every generator, before anything is drawn from one and before CUDA starts."""
    if mode == "full":
        enable_full_determinism(seed)
    else:
        set_seed(seed)
