"""Write tests/golden/definition.*.json again: the compiled definitions that a review compares.

    python -m scripts.golden
    git diff tests/golden

The commit that changes them gives the reason.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
ENVIRONMENTS = ("local", "dev", "prod")


def main() -> int:
    """Compile and write every environment's definition."""
    argparse.ArgumentParser(
        prog="python -m scripts.golden", description=(__doc__ or "").split("\n\n")[0]
    ).parse_args()
    for environment in ENVIRONMENTS:
        path(environment).write_text(rendered(environment), encoding="utf-8")
        print(path(environment).relative_to(ROOT))
    return 0


def path(environment: str) -> Path:
    """Return the path of an environment's golden definition."""
    return GOLDEN / f"definition.{environment}.json"


def variables() -> dict[str, str]:
    """Return a fixed copy of the variables that the embedded environment exports."""
    lines = (GOLDEN / "local.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def rendered(environment: str) -> str:
    """Return the compiled definition as indented JSON."""
    from pipeline import definition  # imports SageMaker's SDK for seconds, which --help need not
    from pipeline.configuration import config

    compiled = definition.compiled(config.load(environment, environ=variables()))
    return json.dumps(json.loads(compiled), indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
