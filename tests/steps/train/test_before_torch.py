"""Start-up: no hub, no spinning threads, no unneeded package, no page that is filled twice."""

import os
import platform
import subprocess
import sys

import pytest


def after_preparation(code: str, *, bitsandbytes: bool, **variables: str) -> str:
    """Run `code` in a fresh process after `prepare_imports`; return what it prints.

    `variables` are added to the environment.
    """
    prepare = (
        "from steps.train import before_torch; "
        f"before_torch.prepare_imports(bitsandbytes={bitsandbytes}); "
    )
    command = [sys.executable, "-c", prepare + code]
    environment = os.environ | variables
    return subprocess.check_output(command, text=True, env=environment).strip()


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


# Twice the same 24 blocks of 8 MiB, each written once; the page faults of the second time
FAULTS = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def pass_():
    blocks = [libc.malloc(2**23) for _ in range(24)]
    for block in blocks:
        ctypes.memset(block, 1, 2**23)
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
pass_()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
pass_()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
has_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's heap only")


@has_glibc
def test_memory_that_a_pass_freed_is_there_for_the_next_pass() -> None:
    assert int(after_preparation(f"exec({FAULTS!r})", bitsandbytes=False)) < 100


@has_glibc
def test_the_environment_decides_how_the_heap_is_treated() -> None:
    limits = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
    faults = after_preparation(f"exec({FAULTS!r})", bitsandbytes=False, **limits)
    assert int(faults) > 1000
