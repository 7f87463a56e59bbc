"""Continue an execution that failed or was stopped: steps that succeeded keep their results.

    python -m pipeline.retry --env dev 4x7k2m9p1q0z --follow

The execution keeps its id, definition and parameters. Train resumes from its checkpoints. A
rejected execution cannot be continued, because its result is final: start another one
(`python -m pipeline.run --from EXECUTION --set …`).
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.deployment import provenance
from pipeline.errors import Refused
from pipeline.execution import following, start
from pipeline.execution.outcome import REJECTED
from pipeline.execution.watch import observe

_CAN_CONTINUE = ("Failed", "Stopped")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    client = account.sagemaker(configured)
    arn = start.named(configured, client, given.execution)
    run = arn.rsplit("/", 1)[-1]
    _check(configured, client, arn)
    with account.answering(f"RetryPipelineExecution {run}", configured):
        now = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        # One token for one state: a retry whose answer was lost is not sent as a second one.
        state = [arn, str(now["LastModifiedTime"])]
        client.retry_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken=provenance.sha256(state)
        )
    again = command.line("pipeline.logs", configured.environment, f"{run} --follow")
    if not given.follow:
        output(arn)
        note(f"  follow it:  {again}")
        return 0
    outcome = following.followed(configured, client, arn, again=again)
    return following.finished(configured, outcome, as_json=given.json)


def _check(configured: Config, client: Any, arn: str) -> None:
    seen = observe(configured, client, arn, planned=())
    run = arn.rsplit("/", 1)[-1]
    again = command.line(
        "pipeline.run", configured.environment, f"--follow --from {run} --set Name=value"
    )
    if any(step.name == REJECTED for step in seen.steps):
        message = f"execution {run} was rejected by Gate, which is final\n  do  {again}"
        raise Refused(message)
    if seen.status not in _CAN_CONTINUE:
        message = f"expected an execution that failed or was stopped, got {run}: {seen.status}"
        raise Refused(message)


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.retry", __doc__ or "", command.EXIT_CODES)
    made.add_argument("execution", metavar="EXECUTION", help="an execution's id or ARN")
    made.add_argument(
        "--follow", action="store_true", help="watch until it ends; exit 0 only if it succeeded"
    )
    made.add_argument("--json", action="store_true", help="with --follow: the result as JSON")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
