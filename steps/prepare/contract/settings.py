"""The arguments that decide the examples: equal settings and equal code make equal examples.

    settings.of(arguments)      # {"contract": "{…}", "seed": "17", …}, for the manifest

The raw version is not among them: the manifest has the one that was read. Bounds are written out
with their defaults, so a default that a later build changes is noticed.
"""

import dataclasses
from typing import Any

from steps.governance.documents import canonical
from steps.prepare.arguments import Arguments


def of(arguments: Arguments) -> dict[str, str]:
    """Return each setting as one text: canonical JSON where it has several numbers."""
    return {
        "contract": _numbers(arguments.contract),
        "curated_table": str(arguments.curated_table),
        "eval_fraction": str(arguments.eval_fraction),
        "quality": _numbers(arguments.quality),
        "raw_table": str(arguments.raw_table),
        "scrub": ",".join(sorted(arguments.scrub)),
        "seed": str(arguments.seed),
        "sources": ",".join(sorted(arguments.sources)),
        "split": _numbers(arguments.split),
        "tasks": ",".join(f"{name}={share:g}" for name, share in arguments.tasks.shares),
    }


def _numbers(settings: Any) -> str:
    return canonical.dumps(dataclasses.asdict(settings)).decode()
