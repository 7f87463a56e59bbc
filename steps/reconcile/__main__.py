"""The reconciler: `python -m steps.reconcile --evidence-uri … [--fix]`.

It prints one line for each difference and ends with 0 all agree, 1 differences, 2 could not
compare. Without --fix it changes nothing. `pipeline.reconcile` composes its arguments from conf.
"""

import sys
from collections.abc import Sequence

from steps.governance.commands import ending
from steps.reconcile.arguments import Arguments, parse

_COULD_NOT = 2


def main(argv: Sequence[str]) -> int:
    """Compare, repair on request, print the lines and return the exit code."""
    return ending.ended(
        "reconcile", lambda: _reconcile(parse(argv)), refused=_COULD_NOT, named=True
    )


def _reconcile(arguments: Arguments) -> int:
    from steps.reconcile.comparing import compare
    from steps.reconcile.fixing import fix, report
    from steps.reconcile.inventory import Inventory, Services, require_known
    from steps.reconcile.report import as_json, as_text, summary

    services = Services.connected(arguments)
    inventory = Inventory(arguments, services)
    require_known(inventory)
    if arguments.fix:
        lines, comparison = fix(arguments, services)
    else:
        try:
            comparison = compare(inventory)
        finally:
            inventory.close()
        lines = report(comparison)
    shown = as_json if arguments.json else as_text
    sys.stdout.write(shown(lines, comparison))
    sys.stdout.flush()
    if not arguments.json:
        sys.stderr.write(f"{summary(comparison)}\n")
    return comparison.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
