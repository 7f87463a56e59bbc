"""The approval: `python -m steps.approve --model NAME@VERSION --alias champion --reason TEXT …`.

`pipeline.approve` composes the other arguments from conf.
"""

import json
import sys
from collections.abc import Sequence

from steps.approve.arguments import Arguments, parse
from steps.governance.commands import ending


def main(argv: Sequence[str]) -> int:
    """Approve or revoke, print the outcome, and return the exit code."""
    return ending.ended("approve", lambda: _decide(parse(argv)), named=True)


def _decide(arguments: Arguments) -> int:
    from steps.approve.approval import Approving
    from steps.governance.unity_catalog.identity import connect

    workspace = connect(
        host=arguments.databricks_host,
        secret_id=arguments.databricks_secret_id,
        region=arguments.region,
    )
    outcome = Approving(arguments, workspace).run()
    approval = outcome.decision.approval
    shown = {
        "action": approval.action,
        "model": approval.model,
        "version": approval.version,
        "alias": approval.alias,
        "replaced version": approval.replaced_version,
        "approver": approval.approver,
        "reason": approval.reason,
        "document": outcome.decision.key,
        "ledger entry": outcome.entry.tag,
    }
    if arguments.model_package_group is not None:
        shown["model package"] = outcome.package
    if arguments.json:
        text = json.dumps({name.replace(" ", "_"): value for name, value in shown.items()})
    else:
        text = "\n".join(
            f"{name:<17} {'–' if value is None else value}" for name, value in shown.items()
        )
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
