"""The allow-list of raw tables, `prepare.sources` of the configuration.

sources.require(arguments)      # before anything of the table is read
"""

from steps.governance.errors import GovernanceError
from steps.prepare.arguments import Arguments
from steps.prepare.bounds import allowed


def require(arguments: Arguments) -> None:
    """Refuse a raw table that the allow-list does not name, before anything of it is read.

    Raises:
        GovernanceError: it is not named.
    """
    if not allowed(str(arguments.raw_table), arguments.sources):
        raise GovernanceError(
            f"table {arguments.raw_table} is not an allowed source, nothing was read",
            expected=f"one of {', '.join(arguments.sources)}",
            got=str(arguments.raw_table),
            do="choose another RawTable, or add it to prepare.sources in conf",
        )
