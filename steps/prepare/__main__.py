"""The command `python -m steps.prepare`, also the entry point of the EMR Serverless job.

Exit codes: 0 done · 1 refused or failed · 2 usage or configuration.

What was refused is the last line on stderr, whole and in one line, because EMR shows a failed run
by its last lines.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steps.prepare.arguments import Arguments


def main(argv: Sequence[str]) -> int:
    """Run the job.

    Its own refusals are one message, everything else is a defect and keeps its traceback.
    """
    from steps.governance import logs
    from steps.governance.errors import GovernanceError
    from steps.prepare.arguments import parse

    logs.configure("prepare")
    try:
        _run(parse(argv))
    except GovernanceError as error:
        lines = " · ".join(" ".join(line.split()) for line in str(error).splitlines())
        print(f"{type(error).__name__}: {lines}", file=sys.stderr, flush=True)  # noqa: T201 - the message itself
        return error.exit_code
    return 0


def _run(arguments: "Arguments") -> None:
    from steps.prepare.running import run  # imported here, so that `--help` does not wait for it

    run(arguments)


if __name__ == "__main__":
    # spark-submit runs this file by its path: the repository's root, not this folder, is where
    # imports start.
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path[0] = root
    sys.exit(main(sys.argv[1:]))
