"""Settings that torch and transformers read once, when they are imported.

* `HF_HUB_OFFLINE`: nothing is downloaded; all files are in the image or in the model channel.
* `OMP_WAIT_POLICY=PASSIVE`: waiting threads sleep instead of spin. Spinning takes half of all CPU
  time when two processes share the cores (measured: 22 CPU-seconds against 9 for the same
  products), and gains nothing when they do not.
* `THP_MEM_ALLOC_ENABLE`: torch allocates CPU tensors on huge pages, which leaves less fragmented
  memory (measured, docs/bench-train.md: a ninth less peak RSS in the same CPU time).
* `PYTORCH_ALLOC_CONF`: on a GPU, torch's allocator extends its segments instead of adding others.
  Rows differ in length, and segments of many sizes leave holes that no tensor fits [unverified].
* `TOKENIZERS_PARALLELISM`: examples are tokenized on all cores.
* transformers and PEFT import some packages because they are installed, not because this run needs
  them; that takes a third of start-up. `sys.modules[name] = None` is Python's documented way to
  mark a package as absent.
"""

import os
import sys

_UNUSED = ("bitsandbytes", "datasets", "scipy", "sklearn")


def prepare_imports(*, bitsandbytes: bool) -> None:
    """Apply the settings. Call this before torch is imported.

    Args:
        bitsandbytes: whether the run needs the package, for NF4 or an 8-bit optimizer.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    for name in _UNUSED:
        if name not in sys.modules and not (name == "bitsandbytes" and bitsandbytes):
            sys.modules[name] = None  # type: ignore[assignment]  # None marks it as absent
