"""What must be settled before torch and transformers are imported, because they look only once.

* No hub: everything is in the image or in the model channel.
* Threads that wait sleep instead of spin. Spinning costs half of all CPU time as soon as two processes share the cores
  (measured: 22 CPU-seconds against 9 for the same products), and gains nothing when they do not.
* torch takes huge pages for its tensors on CPU, which leaves fewer pieces of freed ones lying about (measured, docs/
  bench-train.md: a ninth less peak RSS, in the same CPU time).
* transformers and PEFT import packages because they are installed, not because this run needs them: a third of start-up.
  `sys.modules[name] = None` is Python's documented way to say that a package is not there.
"""

import os
import sys

_UNUSED = ("bitsandbytes", "datasets", "scipy", "sklearn")


def prepare_imports(*, bitsandbytes: bool) -> None:
    """Call before torch is imported; NF4 and 8-bit optimizers need bitsandbytes."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    for name in _UNUSED:
        if name not in sys.modules and not (name == "bitsandbytes" and bitsandbytes):
            sys.modules[name] = None  # type: ignore[assignment]  # None means absent
