"""Run one case in this process: `python -m scripts.training_bench.measure_one '<job as JSON>'`."""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from scripts.training_bench.cases import (
    corpus_memory,
    fp8_modes,
    memory_model,
    ours,
    peers,
    reference_loss,
    serving,
)
from scripts.training_bench.job import RESULT, Job

CASES: dict[str, Callable[[Job], dict[str, Any]]] = {
    "ours": partial(ours.run, mode="auto"),
    "ours native": partial(ours.run, mode="native"),
    "ours storage": partial(ours.run, mode="storage"),
    "ours fp8 off": partial(ours.run, mode="off"),
    "ours unpacked": reference_loss.run,
    "ours streaming": corpus_memory.run,
    "ours modelled": memory_model.run,
    "ours serving": serving.run,
    **{
        f"ours curve {mode}": partial(fp8_modes.curve, mode=mode)
        for mode in ("off", "storage", "native", "native_dx")
    },
    **{
        f"ours sizes {mode}": partial(fp8_modes.sizes, mode=mode)
        for mode in ("off", "storage", "native", "native_dx")
    },
    "trainer padded": partial(peers.trainer, grouped=False),
    "trainer grouped": partial(peers.trainer, grouped=True),
    "trl bfd": partial(peers.trl, packed=True, recompute=False),
    "trl bfd recomputing": partial(peers.trl, packed=True, recompute=True),
    "trl default": partial(peers.trl, packed=False, recompute=True),
}


def main(argv: list[str]) -> int:
    """Run the job and print its numbers as the last line."""
    job = Job.from_json(argv[0])
    numbers = CASES[job.case](job)
    print(RESULT + json.dumps(numbers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
