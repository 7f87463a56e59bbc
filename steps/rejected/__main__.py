"""Rejected: `python -m steps.rejected --curated-table NAME --execution-id ID …`.

It prints one JSON document: the rows of the raw table that Prepare rejected, by reason. Where the
workspace refuses for rights, the document is `{"denied": "<what>"}`, so that `pipeline.rejected`
knows it from a failure that another role would meet too. It only reads, as the principal of its
secret. `python -m pipeline.rejected` composes the arguments.
"""

import json
import sys
from collections.abc import Sequence

from steps.governance.commands import ending
from steps.governance.errors import AccessDenied
from steps.rejected.arguments import Arguments, parse


def main(argv: Sequence[str]) -> int:
    """Print the document and return the exit code."""
    return ending.ended("rejected", lambda: _answered(parse(argv)))


def _answered(arguments: Arguments) -> int:
    try:
        return _printed(arguments)
    except AccessDenied as error:
        sys.stdout.write(json.dumps({"denied": error.what}) + "\n")
        raise


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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
