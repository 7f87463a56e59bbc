"""The planning modules are imported without torch, which takes seconds and gigabytes to load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
MODULES = ("shapes", "devices", "memory", "flops", "batching", "memory_table")
HEAVY = ("torch", "transformers", "peft", "safetensors")


@pytest.mark.parametrize("module", MODULES)
def test_planning_imports_no_torch(module: str) -> None:
    program = (
        f"import sys, steps.train.planning.{module}\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
