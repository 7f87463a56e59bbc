"""The command `python -m steps.prepare`, also the entry point of the EMR Serverless job.

Exit codes: 0 done · 1 refused or failed · 2 usage or configuration.

The last line on stderr is the whole error in one line without the fields of a log line, because
EMR shows only the last lines of a failed run.
"""

import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

_OBJECTS = 50_000  # that are made before a collection; 700 are too few while Spark is imported
_LARGER_DISK = "give the job more disk: spark.emr-serverless.{driver,executor}.disk"

if TYPE_CHECKING:
    from steps.prepare.arguments import Arguments

# The job run's id [unverified: public programs read this variable, no page of AWS names it]
_JOB_RUN = "AWS_EMR_SERVERLESS_JOB_RUN_ID"


def main(argv: Sequence[str]) -> int:
    """Run the job and return its exit code.

    A `GovernanceError` is printed as one message. Any other exception is a defect and keeps its
    traceback.
    """
    from steps.governance import full_disk, logs
    from steps.governance.errors import GovernanceError
    from steps.prepare.arguments import parse

    try:
        logs.configure("prepare", job=os.environ.get(_JOB_RUN, ""))
        arguments = parse(argv)
        logs.set_execution(arguments.execution_id)
        with full_disk.explained(do=_LARGER_DISK):
            _run(arguments)
    except GovernanceError as error:
        logging.getLogger("steps.prepare").error("%s", error)  # noqa: TRY400
        lines = " · ".join(" ".join(line.split()) for line in str(error).splitlines())
        message = f"{type(error).__name__}: {lines}"
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - EMR reads stderr
        return error.exit_code
    return 0


def _run(arguments: "Arguments") -> None:
    # Imported here, so that `--help` does not wait for it. Collections of garbage find none while
    # classes are made, and cost a reuse, which mostly imports, a tenth of its time
    gc.disable()
    from steps.prepare.running import run

    gc.freeze()
    gc.set_threshold(_OBJECTS)
    gc.enable()
    run(arguments)


if __name__ == "__main__":
    # spark-submit runs this file by its path. Imports start at the repository's root, not in this
    # folder.
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path[0] = root
    sys.exit(main(sys.argv[1:]))
