"""Train: fine-tune Ministral-3 with LoRA on the examples that Prepare made for this execution.

    python -m steps.train
    python -m steps.train --help

The first command is for a SageMaker training container; its folders are below /opt/ml, or below
$SAGEMAKER_BASE_DIR. With several GPUs or hosts, it starts one worker for each GPU
(steps/train/distributed/launch.py).

The step reads Prepare's manifest, verifies data and base model, trains and evaluates. It writes
adapter, tokenizer, report and manifest to the model folder.

Exit codes: 0 done · 1 refused or failed · 2 an argument or file cannot be used · 143 stopped by
SIGTERM.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from steps.governance import full_disk, logs
from steps.governance.errors import GovernanceError, UsageError
from steps.train import arguments as hyperparameters
from steps.train import job, services
from steps.train.distributed import cluster, launch, required_gpu, worker_endings
from steps.train.distributed.processes import PeerFailed
from steps.train.distributed.shrinking import OutOfMemory
from steps.train.distributed.worker_endings import Ending
from steps.train.paths import LARGER_VOLUME, Paths
from steps.train.stopping import EXIT_CODE, Stopped, StopSignal

log = logging.getLogger("steps.train")

_REASON_CHARACTERS = 900  # DescribeTrainingJob shows 1,024 characters, SageMaker's prefix included
_GAP = " … "


def main(argv: list[str]) -> int:
    """Run the job and return its exit code. SageMaker passes the single argument `train`."""
    if argv not in ([], ["train"]):
        sys.stdout.write(f"{__doc__}\nHyperparameters (input/config/hyperparameters.json):\n")
        sys.stdout.write(hyperparameters.describe() + "\n")
        return 0 if argv in (["--help"], ["-h"]) else 2
    paths, stop = Paths.from_environment(), StopSignal.listen()
    try:
        logs.configure("train", job=os.environ.get("TRAINING_JOB_NAME", ""))
        arguments = hyperparameters.parse(_hyperparameters(paths))
        logs.set_execution(arguments.execution_id)
        required_gpu.require(
            cluster.read(paths.resources).instance_type, bitsandbytes=arguments.needs_bitsandbytes
        )
        ending = launch.run_workers(paths)
        if ending is not None:
            return _relay(paths, ending)
        with full_disk.explained(do=LARGER_VOLUME):
            job.train(
                arguments,
                paths,
                services.connect(arguments, stop),
                training_job=_training_job(),
                stop=stop,
            )
    except Stopped:
        return _stopped()
    except PeerFailed as error:  # the process that failed reports the reason
        log.error("%s", error.what)  # noqa: TRY400 - our own message is enough
        return error.exit_code
    except OutOfMemory as error:
        return _fail(paths, str(error), error.exit_code, shrinks=error.shrinks)
    except GovernanceError as error:
        return _fail(paths, str(error), error.exit_code)
    except Exception as error:  # SageMaker shows only the failure file
        log.critical("not foreseen", exc_info=True)
        return _fail(paths, f"{type(error).__name__}: {error}", 1)
    worker_endings.report(0)
    return 0


def _hyperparameters(paths: Paths) -> dict[str, Any]:
    try:
        content = json.loads(paths.hyperparameters.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{paths.hyperparameters} cannot be read",
            expected="a JSON object of hyperparameters, as SageMaker writes it",
            got=f"{type(error).__name__}",
            do="run this in a training job, or set SAGEMAKER_BASE_DIR to a folder "
            "of the same layout",
        ) from None
    return content if isinstance(content, dict) else {}


def _training_job() -> str:
    name = os.environ.get("TRAINING_JOB_NAME")
    if not name:
        raise UsageError(
            "no training job", expected="TRAINING_JOB_NAME, which SageMaker sets", got="nothing"
        )
    return name


def _relay(paths: Paths, ending: Ending) -> int:
    """Return the workers' exit code; write their reason to the failure file."""
    if ending.exit_code == EXIT_CODE:
        return _stopped()
    return _fail(paths, ending.reason, ending.exit_code) if ending.exit_code else 0


def _stopped() -> int:
    if not worker_endings.report(EXIT_CODE):
        log.warning(
            "stopped by SIGTERM; the training state is in the checkpoints, "
            "the model folder is empty"
        )
    return EXIT_CODE


def shown(reason: str) -> str:
    """Shorten a reason to what SageMaker shows.

    The beginning (what happened) and the end (what to do) of a long reason are kept.
    """
    if len(reason) <= _REASON_CHARACTERS:
        return reason
    end = _REASON_CHARACTERS // 3
    return reason[: _REASON_CHARACTERS - end - len(_GAP)] + _GAP + reason[-end:]


def _fail(paths: Paths, reason: str, exit_code: int, *, shrinks: bool = False) -> int:
    """Report the reason: a worker to its launcher, any other process to SageMaker."""
    if worker_endings.report(exit_code, reason, shrinks=shrinks):
        return exit_code
    reason = reason.encode("utf-8", "backslashreplace").decode()  # a text may hold half a character
    log.error("%s", reason)
    try:
        paths.failure.parent.mkdir(parents=True, exist_ok=True)
        Path(paths.failure).write_text(shown(reason), encoding="utf-8")
    except OSError as error:  # on a full disk only the log can have the reason
        log.error("%s could not be written: %s", paths.failure, error)  # noqa: TRY400
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
