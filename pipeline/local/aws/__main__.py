"""The embedded AWS account: `python -m pipeline.local.aws --port P --state DIR [--engine
sail|spark]`.

Prints one line of JSON, `{"ready": true, "endpoint": "http://127.0.0.1:P"}`, when it answers. The
root key is in `DIR/aws/root.json`. SIGTERM and SIGINT end every job and save the state. Exit codes:
1: the state could not be saved; 2: the port is in use or the engine is not installed.
"""

import argparse
import sys
from pathlib import Path

from pipeline.local.aws import server


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local.aws", description="The embedded AWS account."
    )
    parser.add_argument("--port", type=int, required=True, help="the loopback port to serve on")
    parser.add_argument("--state", type=Path, required=True, help="the folder of all state")
    parser.add_argument(
        "--engine", choices=("sail", "spark"), default="sail", help="what runs Spark jobs"
    )
    parser.add_argument(
        "--repository",
        type=Path,
        default=Path(__file__).parents[3],
        help="the folder that is WORKDIR in the images",
    )
    parser.add_argument("--region", default=server.REGION, help="the account's one region")
    parser.add_argument(
        "--stop-grace-seconds",
        type=float,
        default=server.STOP_GRACE_SECONDS,
        help="from SIGTERM to SIGKILL",
    )
    arguments = parser.parse_args()
    try:
        lost = server.serve(server.Options(**vars(arguments)))
    except server.CannotStart as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if lost:
        sys.stderr.write("\n".join(["the state was not saved:", *lost, ""]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
