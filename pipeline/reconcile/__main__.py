"""Compare executions, evidence, queue and catalog pairwise, and repair what may be repaired.

    python -m pipeline.reconcile --env dev                          # reports, changes nothing
    python -m pipeline.reconcile --env dev --fix
    python -m pipeline.reconcile --env dev --execution 4x7k2m9q0abc --fix --json

Compared are executions and their jobs, manifests, the Register step and its message, records, their
signatures, the ledger, model versions, tags, aliases, and lineage. What is missing is added, and
what is unfinished is removed, by a message to the register worker: only it may sign, and it owns
the models. A dead letter of an execution is sent again. A package of SageMaker's own registry that
no decision approves is rejected, and never approved. Never touched: evidence, READY versions,
what somebody changed by hand, and what is younger than --grace-seconds or still under way.

It runs with the role `reconciler` (here: eval "$(python -m pipeline.local env --as reconciler)").
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline import command, layout
from pipeline.configuration import config
from pipeline.configuration.config import Config

_EXIT_CODES = "exit codes: 0 all agree · 1 differences · 2 could not compare, or bad usage"
_VALUES = ("model", "execution", "grace-seconds", "wait-seconds")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the reconciler with the arguments of conf and return its exit code."""
    given = vars(_parser().parse_args(argv))
    configured = config.load(command.environment(given["env"]))
    command.require_role(configured.environment, "reconciler")
    chosen = {name: given[name.replace("-", "_")] for name in _VALUES}
    words = [f"--{name}={text}" for name, text in chosen.items() if text is not None]
    words += [f"--{name}" for name in ("fix", "json") if given[name]]
    return command.step(
        "steps.reconcile",
        [*arguments(configured), *words],
        configured.logging.variables,
        doing="comparing executions, evidence, queues and catalog",
    )


def arguments(configured: Config) -> list[str]:
    """Return the reconciler's settings. `steps/reconcile/arguments.py` parses them."""
    settings = {
        "--evidence-uri": layout.evidence(configured),
        "--pipeline-name": configured.pipeline.name,
        "--queue-url": configured.register.queue_url,
        "--model-name": str(configured.parameters["ModelName"]),
        "--databricks-host": configured.databricks.host,
        "--databricks-secret-id": configured.evidence.reconciler_secret_id,
        "--region": configured.aws.region,
    }
    if configured.register.model_package_group:
        settings["--model-package-group"] = configured.register.model_package_group
    return [word for pair in settings.items() for word in pair]


def _parser() -> argparse.ArgumentParser:
    made = command.parser("pipeline.reconcile", __doc__ or "", _EXIT_CODES)
    made.add_argument("--fix", action="store_true", help="repair, and log what was done")
    made.add_argument("--model", metavar="NAME", help="one registered model")
    made.add_argument("--execution", metavar="ID", help="one execution: its 12 characters")
    made.add_argument(
        "--grace-seconds", metavar="N", help="nothing that is younger is touched (default 300)"
    )
    made.add_argument(
        "--wait-seconds", metavar="N", help="how long --fix waits for the worker (default 120)"
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
