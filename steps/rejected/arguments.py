"""The arguments of rejected: the curated table, one execution, and which rows.

    arguments = parse(["--curated-table", "edgar.curated.examples", "--execution-id", "4x7k…", …])

One error names all faults. `pipeline.rejected` composes them from conf and from the execution.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import UsageError
from steps.governance.names import UcName

_MOST_ROWS = 10**6
ARGUMENTS = {
    "curated_table": Argument(types.TABLE, "the curated table, whose _rejected table is read"),
    "execution_id": Argument(
        types.matching(r"[a-z0-9]{1,64}", "an execution's id"), "the execution whose Prepare wrote"
    ),
    "databricks_host": Argument(types.HOST, "the workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of the principal that reads"),
    "region": Argument(types.REGION, "the region of table and secret"),
    "reason": Argument(
        types.matching(r"[a-z_]{0,80}", "a reason, such as near_duplicate, or nothing"),
        "only rows with this reason",
        default="",
    ),
    "most": Argument(types.whole(0, _MOST_ROWS), "the number of rows to print", default="20"),
}


@dataclass(frozen=True)
class Arguments:
    """The arguments of rejected, checked. `detail` prints the column that quotes headings."""

    curated_table: UcName
    execution_id: str
    databricks_host: str
    databricks_secret_id: str
    region: str
    reason: str
    most: int
    detail: bool


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    parser = argparse.ArgumentParser(
        prog="python -m steps.rejected",
        description="Print the rejected rows of an execution as JSON.",
        allow_abbrev=False,
    )
    types.add_options(parser, ARGUMENTS)
    parser.add_argument("--detail", action="store_true", help="with the detail of each row")
    given, rest = parser.parse_known_args(list(argv))
    values, faults = types.read(ARGUMENTS, vars(given), shown=types.option)
    faults += [f"{word[:60]}: unknown" for word in rest]
    if faults:
        raise UsageError(
            "rejected was not started",
            got="; ".join(faults),
            do="correct the arguments named above",
        )
    return Arguments(**values, detail=given.detail)
