"""Triton's kernels compute what the plain forms do, and compile for the GPUs that people rent.

Triton is in no lock of this project's CPU images, so these tests install it into a folder of
theirs, and are skipped with the reason where that is not possible.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.long]
ROOT, HERE = Path(__file__).parents[5], Path(__file__).parent
REQUIREMENT = (
    "triton==3.9.0 --hash=sha256:1622118a038b0c6e16fa4a0305da62c8b3c15904ee1cc4d4e65846a25969e41e"
)
TOLERANCE = {"float32": 1e-6, "bfloat16": 2**-8}  # one rounding to bfloat16


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Triton."""
    folder = tmp_path_factory.mktemp("triton")
    (folder / "requirements.txt").write_text(REQUIREMENT)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    command += [str(folder / "site"), "--require-hashes", "-r", str(folder / "requirements.txt")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"triton does not install here: {done.stderr.strip()[-300:]}")
    return folder


def printed(triton: Path, program: str, *arguments: str, **variables: str) -> Any:
    environment = os.environ | variables
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{triton / 'site'}"
    environment["TRITON_DEFAULT_FP_FUSION"] = "1"  # unset, Triton 3.9 warns
    environment["TRITON_CACHE_DIR"] = str(triton / "cache")
    command = [sys.executable, str(HERE / program), *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_in_the_interpreter_each_kernel_equals_its_plain_form(triton: Path) -> None:
    found = printed(triton, "interpreted.py", TRITON_INTERPRET="1")
    for name, (distances, quantized) in found.items():
        assert set(distances) >= {"gated", "product", "of_gate", "of_up", "rotated"}
        assert max(distances.values()) <= TOLERANCE[name]
        assert quantized == {"scales": True, "quotients": True, "rows": True}


def test_each_kernel_compiles_ahead_of_time_for_the_gpus_people_rent(triton: Path) -> None:
    found = printed(triton, "compiled.py", "86", "89", "90")
    for capability, kernels in found.items():
        # e4m3 begins with sm_89, and so does native mode
        refused = {"quantized_rows"} if capability == "86" else set()
        assert {name for name, made in kernels.items() if isinstance(made, str)} == refused
        assert all(made > 1000 for made in kernels.values() if isinstance(made, int))
        assert all("fp8e4nv not supported" in kernels[name] for name in refused)
