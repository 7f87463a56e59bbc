"""Rotate secrets now: `python -m steps.governance.rotation --databricks-host … --secret NAME …`.

`pipeline.rotate` composes the arguments from conf.
"""

import argparse
import sys
from collections.abc import Sequence

from steps.governance.errors import GovernanceError
from steps.governance.logs import configure


def main(argv: Sequence[str]) -> int:
    """Rotate each secret and print its name and new version; return the exit code."""
    parser = argparse.ArgumentParser(prog="steps.governance.rotation", description=__doc__)
    parser.add_argument("--databricks-host", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--secret", action="append", required=True, metavar="NAME")
    given = parser.parse_args(argv)
    try:
        configure("rotation")
        from botocore.exceptions import BotoCoreError, ClientError
        from databricks.sdk.errors.base import DatabricksError

        from steps.governance.rotation.parties import between

        try:
            rotation = between(host=given.databricks_host, region=given.region)
            for name in given.secret:
                sys.stdout.write(f"{name}  version {rotation.whole(name)}\n")
        except (BotoCoreError, ClientError, DatabricksError) as error:
            sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}\n")
            sys.stderr.write("  do        run the same command again: it continues\n")
            return 1
    except GovernanceError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
