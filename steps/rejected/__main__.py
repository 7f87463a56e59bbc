"""Rejected: `python -m steps.rejected --curated-table NAME --execution-id ID …`.

It prints one JSON document: the rows of the raw table that Prepare rejected, by reason. Where the
workspace refuses for rights, the document is `{"denied": "<what>"}`, so that `pipeline.rejected`
knows it from a failure that another role would meet too. It only reads, as the principal of its
secret. `python -m pipeline.rejected` composes the arguments.
"""

import json
import sys
from collections.abc import Sequence

from steps.governance.errors import AccessDenied, GovernanceError
from steps.governance.logs import configure
from steps.rejected.arguments import Arguments, parse


def main(argv: Sequence[str]) -> int:
    """Print the document and return the exit code."""
    try:
        configure("rejected")
        return _printed(parse(argv))
    except GovernanceError as error:
        sys.stderr.write(f"{error}\n")
        if isinstance(error, AccessDenied):
            sys.stdout.write(json.dumps({"denied": error.what}) + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _printed(arguments: Arguments) -> int:
    from steps.governance.unity_catalog.catalog import Catalog
    from steps.governance.unity_catalog.identity import connect
    from steps.rejected import rows

    workspace = connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
    )
    sys.stdout.write(json.dumps(rows.read(Catalog(workspace), arguments)) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
