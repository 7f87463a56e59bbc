"""Settings of the process, most of which torch and transformers read once, when imported.

* `HF_HUB_OFFLINE`: nothing is downloaded; all files are in the image or in the model channel.
* `OMP_WAIT_POLICY=PASSIVE`: waiting threads sleep instead of spin. Spinning takes half of all CPU
  time when two processes share the cores (measured: 22 CPU-seconds against 9 for the same
  products), and gains nothing when they do not.
* `THP_MEM_ALLOC_ENABLE`: torch allocates CPU tensors on huge pages, which leaves less fragmented
  memory (measured, docs/bench-train.md: a ninth less peak RSS in the same CPU time).
* glibc keeps the memory that a pass frees for the next pass. By default it returns it, and the
  kernel fills the pages with zeros again (measured, docs/decisions/078-kept-heap.md).
* `PYTORCH_ALLOC_CONF`: on a GPU, torch's allocator extends its segments instead of adding others.
  Rows differ in length, and segments of many sizes leave holes that no tensor fits [unverified].
* `TOKENIZERS_PARALLELISM`: examples are tokenized on all cores.
* transformers and PEFT import some packages because they are installed, not because this run needs
  them; that takes a third of start-up. `sys.modules[name] = None` is Python's documented way to
  mark a package as absent.
"""

import ctypes
import logging
import os
import platform
import sys

_UNUSED = ("bitsandbytes", "datasets", "scipy", "sklearn")

# glibc's malloc.h, mallopt(3): -1 as the threshold of trimming disables it; blocks are taken from
# the heap and not mapped up to 32 MiB, the most that glibc allows.
_HEAP = {
    "MALLOC_TRIM_THRESHOLD_": (-1, -1),  # M_TRIM_THRESHOLD
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 * 2**20),  # M_MMAP_THRESHOLD, bytes
}


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
    _keep_heap()
    for name in _UNUSED:
        if name not in sys.modules and not (name == "bitsandbytes" and bitsandbytes):
            sys.modules[name] = None  # type: ignore[assignment]  # None marks it as absent


def _keep_heap() -> None:
    """Let glibc keep freed memory, unless the environment states how to treat it.

    Other C libraries have no such options. A refusal costs time only, so it is a warning.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for name, (option, value) in _HEAP.items():
        if name not in os.environ and not mallopt(option, value):
            logging.getLogger(__name__).warning("glibc refused %s = %d", name, value)
