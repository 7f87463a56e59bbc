"""Start-up: no hub, no spinning threads, no package that the run does not need."""

import subprocess
import sys

import pytest


def started(bitsandbytes: bool) -> str:
    """What a fresh process sees after the preparation."""
    code = (
        f"from steps.train import lean; lean.prepare_imports(bitsandbytes={bitsandbytes}); import os, importlib.util as u;"
        "print(os.environ['HF_HUB_OFFLINE'], os.environ['OMP_WAIT_POLICY'],"
        " *[n for n in ('bitsandbytes', 'datasets') if u.find_spec(n)])"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


def test_unused_packages_are_hidden() -> None:
    assert started(False) == "1 PASSIVE"


def test_what_was_asked_for_is_found() -> None:
    assert started(True) == "1 PASSIVE bitsandbytes"


@pytest.mark.torch
def test_tensors_stand_on_huge_pages() -> None:
    code = (
        "from steps.train import lean; lean.prepare_imports(bitsandbytes=False); import mmap, torch;"
        "print(torch.empty(2**22).data_ptr() % mmap.PAGESIZE)"  # torch aligns what it asks huge pages for
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "0"
