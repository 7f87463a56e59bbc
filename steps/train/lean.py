"""Packages that transformers and PEFT import because they are installed, not because this run needs them.

They cost 6 of 18 seconds of start-up. `sys.modules[name] = None` is Python's documented way to say that a package is
not there.
"""

import sys

_UNUSED = ("bitsandbytes", "datasets", "scipy", "sklearn")


def skip_unused_packages(fp8_mode: str) -> None:
    """Call before transformers is imported; NF4 needs bitsandbytes."""
    for name in _UNUSED:
        if name not in sys.modules and not (name == "bitsandbytes" and fp8_mode == "nf4"):
            sys.modules[name] = None  # type: ignore[assignment]  # None means absent
