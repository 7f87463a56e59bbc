"""Start-up: no hub, no spinning threads, no package that the run does not need."""

import subprocess
import sys


def started(mode: str) -> str:
    """What a fresh process sees after the preparation."""
    code = (
        f"from steps.train import lean; lean.prepare_imports({mode!r}); import os, importlib.util as u;"
        "print(os.environ['HF_HUB_OFFLINE'], os.environ['OMP_WAIT_POLICY'],"
        " *[n for n in ('bitsandbytes', 'datasets') if u.find_spec(n)])"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def test_unused_packages_are_hidden() -> None:
    assert started("auto") == "1 PASSIVE"


def test_nf4_finds_bitsandbytes() -> None:
    assert started("nf4") == "1 PASSIVE bitsandbytes"
