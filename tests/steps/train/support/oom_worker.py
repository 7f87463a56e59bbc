"""One worker of a launched job, one of which has too little memory, and the launcher itself.

launch(...)    in the process that plays SageMaker's container
main(...)      in each worker that the launcher starts
"""

import sys
from pathlib import Path
from typing import Any

from steps.train.distributed import launch as launching
from tests.steps.train.support import ranks
from tests.steps.train.support.curated_table import ARN, LocalCatalog, MemoryEvidence, prepared
from tests.steps.train.support.jobs import BUILD, PREPARED
from tests.steps.train.support.rank_worker import EXAMPLES, GROUP

REASON = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"


def launch(*arguments: str) -> None:
    """Run the container's command; its workers run `main` with these arguments."""
    from steps.train.__main__ import main as run

    launching._WORKER = ("-c", ranks._RUN, "oom_worker", "worker", *arguments)
    sys.exit(run(["train"]))


def main(role: str, *arguments: str) -> None:
    """Be the launcher or a worker."""
    (launch if role == "launcher" else _work)(*arguments)


def _work(curated: str, rank: str, where: str, room: str) -> None:
    """Train; the process `rank` has memory for passes of `room` tokens, from the second step on."""
    from steps.train import services
    from steps.train.__main__ import main as run

    evidence = MemoryEvidence(
        {PREPARED: prepared(Path(curated), ARN, 0, train=EXAMPLES).to_bytes()}
    )
    found = services.Services(LocalCatalog(Path(curated)), evidence, None, BUILD)
    services.connect = lambda arguments, stop: found
    if GROUP.rank == int(rank):
        _limit(int(room), in_backward=where == "backward")
    sys.exit(run([]))


def _limit(room: int, *, in_backward: bool) -> None:
    import torch

    from steps.train.fine_tuning.trainer import FineTuneTrainer
    from steps.train.model.recomputation import decoder_layers

    step = FineTuneTrainer.training_step

    def fail(*_: Any) -> Any:
        raise torch.OutOfMemoryError(REASON)

    def limited(trainer: Any, model: Any, inputs: Any, *rest: Any) -> Any:
        if trainer.state.global_step < 1 or inputs["input_ids"].shape[1] <= room:
            return step(trainer, model, inputs, *rest)
        if not in_backward:
            fail()
        # the gradient reaches the first layer's output after those of all later layers
        decoder_layers(model)[0].register_forward_hook(
            lambda layer, given, output: output.register_hook(fail) and None
        )
        return step(trainer, model, inputs, *rest)

    FineTuneTrainer.training_step = limited  # type: ignore[method-assign]
