"""Follow an execution at a terminal until it ends, and print its result.

outcome = following.followed(config, client, arn, again="python -m pipeline.run … --follow")
output(following.text(outcome))
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration.config import Config
from pipeline.errors import Refused
from pipeline.execution import attention, progress, start
from pipeline.execution.outcome import Outcome
from pipeline.inspection import live, prompts_cut


def followed(config: Config, client: Any, arn: str, *, again: str) -> Outcome:
    """Show the execution on stderr until it has ended, and return how.

    `again` is the command that follows it again; it is shown if the following ends first.

    Raises:
        Refused: AWS refused to describe the execution, which continues.
    """
    try:
        with progress.shown(sys.stderr) as show:
            watchful = attention.noting(config, lambda: account.client("s3", config), show)
            lively = live.noting(config, lambda: account.client("logs", config), watchful)
            return start.follow(config, client, arn, show=lively)
    except KeyboardInterrupt:
        note(f"\nno longer following; the execution continues\n{_next_steps(config, arn, again)}")
        raise
    except Refused as error:
        message = f"{error}\n  the execution continues\n{_next_steps(config, arn, again)}"
        raise Refused(message) from error


def finished(config: Config, outcome: Outcome, *, as_json: bool) -> int:
    """Print the result on stdout and what to type next on stderr; return the exit code."""
    output(json.dumps(asdict(outcome), indent=2, default=str) if as_json else text(outcome))
    if warning := prompts_cut.warning(config, lambda: account.client("s3", config), outcome):
        note(f"  warning:     {warning}")
    note("\n".join(f"  {what:<13}{typed}" for what, typed in commands_after(config, outcome)))
    return 0 if outcome.succeeded else 1


def text(outcome: Outcome) -> str:
    """Return the result as lines of name and value."""
    return "\n".join(f"{name:<10} {value}" for name, value in progress.result(outcome))


def commands_after(config: Config, outcome: Outcome) -> list[tuple[str, str]]:
    """Return what a person may want to do after this result, each with its command."""
    run = outcome.arn.rsplit("/", 1)[-1]

    def typed(module: str, words: str) -> str:
        return command.line(f"pipeline.{module}", config.environment, words)

    page = ("as a page:", typed("report", f"--execution {run}"))
    if outcome.succeeded:
        model = f"{outcome.model_name}@{outcome.model_version}"
        return [page, ("its origin:", typed("trace", f"--model {model}"))]
    if outcome.rejected:
        return [page, ("try again:", typed("run", f"--follow --from {run} --set Name=value"))]
    retry = ("continue it:", typed("retry", f"{run} --follow"))
    return [("its log:", typed("logs", run)), retry, page]


def _next_steps(config: Config, arn: str, again: str) -> str:
    stop = command.line("pipeline.stop", config.environment, arn.rsplit("/", 1)[-1])
    return f"  follow it:  {again}\n  stop it:    {stop}"
