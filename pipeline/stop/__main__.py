"""Stop an execution: the running job is stopped, and no further step starts.

    python -m pipeline.stop --env dev 4x7k2m9p1q0z
    python -m pipeline.stop --env dev 4x7k2m9p1q0z --follow    # wait for its end

Train saves its adapter before it ends, so `python -m pipeline.retry` continues there. At Register
the worker ends the step, within a minute. A second stop of the same execution changes nothing.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.errors import Refused
from pipeline.execution import following, start
from pipeline.execution.outcome import RUNNING


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    client = account.sagemaker(configured)
    arn = start.named(configured, client, given.execution)
    run = arn.rsplit("/", 1)[-1]
    with account.answering(f"StopPipelineExecution {run}", configured):
        status = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        if status["PipelineExecutionStatus"] not in RUNNING:
            message = (
                f"execution {run} has ended: {status['PipelineExecutionStatus']}; "
                "it cannot be stopped"
            )
            raise Refused(message)
        # The same token each time: a stop whose answer was lost is not sent as a second one.
        client.stop_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken=f"stop-{run:0>32}"
        )
    if given.follow:
        again = command.line("pipeline.stop", configured.environment, f"{run} --follow")
        following.followed(configured, client, arn, again=again)
    output(arn)
    later = command.line("pipeline.retry", configured.environment, f"{run} --follow")
    note(f"  continue it later:  {later}")
    return 0


def _parser() -> ArgumentParser:
    made = command.parser("pipeline.stop", __doc__ or "", command.EXIT_CODES)
    made.add_argument("execution", metavar="EXECUTION", help="an execution's id or ARN")
    made.add_argument("--follow", action="store_true", help="watch until it has ended")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
