"""Compare the step's memory model with what torch allocates, and predict the 3B model's memory.

The small model runs on the CPU, where every allocation can be counted. The 3B model needs no GPU
here: only its shape is used.
"""

from collections.abc import Callable
from typing import Any

from scripts.training_bench.cases.documents import filings_like
from scripts.training_bench.cases.ours import RANK, adapted, document, precision_of
from scripts.training_bench.job import Job
from steps.train import before_torch

LONG_ROW = 8192  # tokens
_A10G = "A10G"  # the 24 GB card of the default instance


def run(job: Job) -> dict[str, Any]:
    """Return bytes.

    Those of one pass of the small model, predicted and counted, and those predicted for the 3B
    model on a 24 GB card.
    """
    before_torch.prepare_imports(bitsandbytes=False)
    from steps.train.data import packing
    from steps.train.planning import memory
    from steps.train.planning.shapes import Shape

    decided = precision_of(job, "storage")
    tuned = adapted(job, decided).train()
    texts = filings_like(
        job.documents, vocabulary=tuned.config.text_config.vocab_size, seed=job.seed
    )
    row = packing.packed([document(text) for text in texts], job.row_tokens, seed=job.seed)[0]
    batch = packing.collate([row])
    tuned(**batch).loss.backward()  # the first pass allocates the gradients, which then stay
    counted = _peak_bytes(lambda: tuned(**batch).loss.backward())
    plan = decided.plan(Shape.of(tuned.config.text_config), rank=RANK, optimizer="adamw")
    labelled = sum(each.target_tokens for each in row)
    small = memory.peak(plan, sum(map(len, row)), recomputed=0, labelled=labelled)
    return {"predicted": small.kept + small.momentary, "counted": counted, **_predicted_3b()}


def _predicted_3b() -> dict[str, int]:
    from steps.train.planning import batching, devices, memory
    from steps.train.planning.shapes import MINISTRAL_3B

    plan = memory.Plan(MINISTRAL_3B, "storage", RANK)
    decided = batching.fit(
        plan,
        LONG_ROW,
        divisors=[batching.ROWS_PER_STEP, 1],
        budget=batching.budget_bytes(devices.SHEETS[_A10G].memory_bytes),
    )
    tokens = decided.micro_rows * LONG_ROW
    return {
        "needed_3b": memory.peak(plan, tokens, recomputed=decided.recomputed_layers).total,
        "recomputed_layers": decided.recomputed_layers,
        "micro_rows": decided.micro_rows,
    }


def _peak_bytes(step: Callable[[], Any]) -> int:
    """Return the most bytes that torch's allocator holds during `step`, above those before it."""
    from torch.autograd.profiler import profile

    with profile(profile_memory=True) as record:
        step()
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest
