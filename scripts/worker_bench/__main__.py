"""Measure the register worker's steady state: memory, idle processor time, registrations a minute.

    python -m scripts.worker_bench                      # 1,000 executions, 30 s of idling
    python -m scripts.worker_bench --executions 100 --idle-seconds 10

One worker process registers executions from one queue, one after the other, each a new model with
its own archive. AWS is ministack, the workspace is the embedded one, SageMaker is the tests' stub;
all of them share this machine's cores, so the rate is a lower bound; on a busy machine compare
the worker's processor seconds for each registration after the first tenth. Memory is the worker's
resident set after each registration. Its growth is the difference of the medians of the second and
the last tenth, because the first registrations import and cache, and its slope is that of the
second half. At the end the worker waits for
messages: its processor time over that is the idle share of one core.

Exit code 1: memory grew by more than 16 MiB, idling took more than 1 % of a core, or not every
execution is registered.
"""

import argparse
import json
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.worker_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--executions", type=int, default=1000, help="default: 1000")
    parser.add_argument("--idle-seconds", type=float, default=30.0, help="default: 30")
    arguments = parser.parse_args(argv)
    from scripts.worker_bench.measuring import measured_in_a_fresh_environment

    measured = measured_in_a_fresh_environment(arguments.executions, arguments.idle_seconds)
    sys.stdout.write(json.dumps(measured.document()) + "\n")
    return 0 if measured.holds and len(measured.rss) == arguments.executions else 1


if __name__ == "__main__":
    sys.exit(main())
