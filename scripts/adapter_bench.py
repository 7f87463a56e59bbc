"""Measure the worker's checks of a 3B adapter against `sha256sum` of the same bytes.

    python -m scripts.adapter_bench --rank 64      # all linears of Ministral-3-3B, float32

It prints the adapter's size, seconds of `sha256sum`, seconds of the checks (configuration, every
value of the weights, a tokenizer with the base's whole vocabulary), their ratio, and the largest
resident memory of the process that checks. The file is in the page cache, so both measure the work
and not the disk.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from steps.governance.documents.document import FileEntry
from steps.governance.files import sha256_of

_ROUNDS = 3  # the best of them counts
# Ministral-3-3B: width, width of its feed-forward layers, layers, heads, heads of keys, head width
_SIZES = {"hidden": 3072, "ffn": 9216, "layers": 26, "queries": 4096, "keys": 1024}
_VOCABULARY = 131072
_WEIGHTS = "adapter_model.safetensors"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.adapter_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rank", type=int, default=64, help="rank of every adapter (default 64)")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)  # the measured process
    arguments = parser.parse_args(argv)
    if arguments.check:
        sys.stdout.write(json.dumps(measure(arguments.check)) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, arguments.rank)
        peer = min(_seconds_of_sha256sum(folder / _WEIGHTS) for _ in range(_ROUNDS))
        command = [sys.executable, "-m", "scripts.adapter_bench", "--check", name]
        done = subprocess.run(command, check=True, capture_output=True)
        size = (folder / _WEIGHTS).stat().st_size
    found = json.loads(done.stdout)
    result = {"rank": arguments.rank, "mib": size >> 20, "sha256sum_s": round(peer, 3)}
    result |= found | {"ratio": round(found["check_s"] / peer, 2)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def measure(folder: Path) -> dict[str, float]:
    """Check the adapter in `folder`; return the best seconds and the peak of memory in MiB."""
    from steps.register.package.adapter_files import check_adapter
    from steps.register.package.base_model import BaseModel, linears

    files = [_entry(path) for path in sorted(folder.iterdir())]
    base = BaseModel({}, {entry.path: entry for entry in files}, linears(**_SIZES), _VOCABULARY)
    seconds = []
    for _ in range(_ROUNDS):
        began = time.monotonic()
        check_adapter(folder, files, base)
        seconds.append(time.monotonic() - began)
    return {"check_s": round(min(seconds), 3), "max_rss_mib": _peak_kib() >> 10}


def _peak_kib() -> int:
    """Return the kernel's high-water mark; getrusage would count the parent's memory at fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def write(folder: Path, rank: int) -> None:
    """Write an adapter of the 3B base: random float32 weights and a tokenizer of its size."""
    from steps.register.package.base_model import linears

    shapes: dict[str, tuple[int, int]] = {}
    for name, (outputs, inputs) in linears(**_SIZES).items():
        shapes[f"base_model.model.{name}.lora_A.weight"] = (rank, inputs)
        shapes[f"base_model.model.{name}.lora_B.weight"] = (outputs, rank)
    with (folder / _WEIGHTS).open("wb") as file:
        file.write(_header(shapes))
        for block in _noise(shapes):
            file.write(block)
    configuration = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank}
    targets = {"target_modules": r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"}
    (folder / "adapter_config.json").write_text(json.dumps(configuration | targets))
    tokens = {f"token {number}": number for number in range(_VOCABULARY)}
    merges = [[f"token {number}", f"{number}"] for number in range(2 * _VOCABULARY)]
    document = {"model": {"type": "BPE", "vocab": tokens, "merges": merges}}
    (folder / "tokenizer.json").write_text(json.dumps(document, indent=2))


def _header(shapes: dict[str, tuple[int, int]]) -> bytes:
    places, end = {}, 0
    for name, (rows, columns) in shapes.items():
        size = 4 * rows * columns
        places[name] = {
            "dtype": "F32",
            "shape": [rows, columns],
            "data_offsets": [end, end + size],
        }
        end += size
    text = json.dumps(places).encode()
    return len(text).to_bytes(8, "little") + text


def _noise(shapes: dict[str, tuple[int, int]]) -> Iterator[bytes]:
    import numpy as np

    random = np.random.default_rng(0)
    for rows, columns in shapes.values():
        yield random.standard_normal((rows, columns), dtype=np.float32).tobytes()


def _entry(path: Path) -> FileEntry:
    return FileEntry(path=path.name, size=path.stat().st_size, sha256=sha256_of(path))


def _seconds_of_sha256sum(file: Path) -> float:
    began = time.monotonic()
    subprocess.run(["/usr/bin/sha256sum", str(file)], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
