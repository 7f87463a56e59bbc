"""Start-up: no hub, no spinning threads, no package that the run does not need."""

import subprocess
import sys

import pytest


def after_preparation(code: str, *, bitsandbytes: bool) -> str:
    """Run `code` in a fresh process after `prepare_imports`; return what it prints."""
    prepare = (
        "from steps.train import before_torch; "
        f"before_torch.prepare_imports(bitsandbytes={bitsandbytes}); "
    )
    command = [sys.executable, "-c", prepare + code]
    return subprocess.check_output(command, text=True).strip()


SETTINGS = (
    "import os, importlib.util as u;"
    "print(os.environ['HF_HUB_OFFLINE'], os.environ['OMP_WAIT_POLICY'],"
    " *[n for n in ('bitsandbytes', 'datasets') if u.find_spec(n)])"
)


def test_unused_packages_are_hidden() -> None:
    assert after_preparation(SETTINGS, bitsandbytes=False) == "1 PASSIVE"


def test_a_needed_package_is_found() -> None:
    assert after_preparation(SETTINGS, bitsandbytes=True) == "1 PASSIVE bitsandbytes"


@pytest.mark.torch
def test_tensors_are_on_huge_pages() -> None:
    # torch aligns memory that it wants on huge pages
    code = "import mmap, torch; print(torch.empty(2**22).data_ptr() % mmap.PAGESIZE)"
    assert after_preparation(code, bitsandbytes=False) == "0"
