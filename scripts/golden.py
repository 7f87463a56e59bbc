#!/usr/bin/env python
"""Refresh tests/golden/definition.*.json, the compiled definitions a review sees. The commit says why they changed.

scripts/golden            # write them
git diff tests/golden     # then read what changed
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
ENVIRONMENTS = ("local", "dev", "prod")
sys.path.insert(0, str(ROOT))


def path(environment: str) -> Path:
    """Where an environment's golden definition lies."""
    return GOLDEN / f"definition.{environment}.json"


def variables() -> dict[str, str]:
    """What the embedded environment would export, frozen."""
    return dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())


def rendered(environment: str) -> str:
    """The compiled definition, indented for a reader."""
    from pipeline import config, definition

    compiled = definition.compiled(config.load(environment, environ=variables()))
    return json.dumps(json.loads(compiled), indent=1) + "\n"


if __name__ == "__main__":
    for name in ENVIRONMENTS:
        path(name).write_text(rendered(name))
        print(path(name).relative_to(ROOT))
