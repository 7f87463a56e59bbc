"""Do comparable work with datatrove in this process, and print what it used as one JSON line.

    build/bench-venv/bin/python with_datatrove.py <folder of JSON lines> <scratch folder>

The documents are the risk factors that Prepare's own kernel found, since datatrove has nothing that
finds them: so its work is smaller. Rules: Gopher's quality and repetition filters, C4's, personal
data (e-mail and IP addresses), and MinHash in four steps with its default settings. It makes no
exact check of a pair. One worker, so that all the work is in this process.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

_TASKS = 1


def main(documents: Path, scratch: Path) -> None:
    """Run the filters, then MinHash over what they leave; print the CPU seconds of both."""
    from loguru import logger

    logger.remove()
    _filtered(documents / "few", scratch / "first")  # so that imports do not count
    began = time.process_time()
    _filtered(documents / "all", scratch / "filtered")
    filtered = time.process_time() - began
    began = time.process_time()
    _minhash(documents / "all", scratch / "minhash")
    minhash = time.process_time() - began
    found = {"cpu_seconds": filtered + minhash, "minhash_seconds": minhash}
    print(json.dumps(found))


def _run(steps: list[Any], logs: Path, *, tasks: int = _TASKS) -> None:
    from datatrove.executor import LocalPipelineExecutor

    LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=1, logging_dir=str(logs)).run()


def _filtered(documents: Path, scratch: Path) -> None:
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    _run(
        [
            JsonlReader(str(documents)),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            PIIFormatter(),
            JsonlWriter(str(scratch / "out")),
        ],
        scratch / "logs",
    )


def _minhash(documents: Path, scratch: Path) -> None:
    from datatrove.pipeline.dedup import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig()
    folders = {name: str(scratch / name) for name in ("signatures", "buckets", "removed", "out")}
    reader = JsonlReader(str(documents))
    steps: list[tuple[list[Any], int]] = [
        ([reader, MinhashDedupSignature(folders["signatures"], config=config)], _TASKS),
        (
            [MinhashDedupBuckets(folders["signatures"], folders["buckets"], config=config)],
            config.num_buckets,
        ),
        ([MinhashDedupCluster(folders["buckets"], folders["removed"], config=config)], 1),
        (
            [reader, MinhashDedupFilter(folders["removed"]), JsonlWriter(folders["out"])],
            _TASKS,
        ),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        _run(pipeline, scratch / f"logs{number}", tasks=tasks)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
