"""Start an execution of the deployed pipeline, and follow it.

    python -m pipeline.run --env dev --follow
    python -m pipeline.run --env dev --set LoraRank=32 --set MaxEvalLoss=2.2
    python -m pipeline.run --env dev --from 4x7k2m9p1q0z --set Seed=18        # as that execution, but for the seed
    python -m pipeline.run --env dev --token 20261122T050000-a1b2c3 --follow  # ask again for one started before

A start has a token; the same parameters under the same token start nothing twice.

--follow shows in Register's row what Register waits for and when it tries again (a schema that vanished, a workspace that
does not answer); after ten attempts, 17 minutes, the step fails with that reason. To stop an execution meanwhile:
aws sagemaker stop-pipeline-execution; it ends within a minute while a register worker runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline import account, command, config
from pipeline.command import put, say
from pipeline.config import Config
from pipeline.errors import Refused, UsageError
from pipeline.execution import progress
from pipeline.execution import start as execution
from pipeline.execution.outcome import Outcome
from pipeline.parameters import help_table

_HAVE_IT_AGAIN = (
    "to have it again, deploy the commit of that execution first (python -m pipeline.upsert)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    overrides = settings(arguments.set)
    configured = config.load(command.environment(arguments.env))
    client = account.sagemaker(configured)
    token = arguments.token or execution.new_token()
    start = execution.prepared(configured, client, overrides, token=token, source=arguments.source)
    for name, text in start.left_out.items():
        say(
            f"left out   {name}={text}: the deployed definition has no such parameter any more; {_HAVE_IT_AGAIN}"
        )
    arn = _sent(start, client, token)
    if not arguments.follow:
        put(json.dumps({"execution": arn, "token": token}) if arguments.json else arn)
        return 0
    outcome = _followed(configured, client, arn, again=_again(arguments, token))
    put(json.dumps(asdict(outcome), indent=2, default=str) if arguments.json else _told(outcome))
    return 0 if outcome.succeeded else 1


def settings(words: Sequence[str]) -> dict[str, str]:
    """The `Name=value` words of `--set`.

    Raises:
        UsageError: a word has no `=`, or a name is given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name:
            message = f"expected --set Name=value, got {word!r}"
            raise UsageError(message)
        if name in found:
            message = f"expected each name once, got --set {name}= twice"
            raise UsageError(message)
        found[name] = value
    return found


def _sent(start: execution.Start, client: Any, token: str) -> str:
    say(
        f"token      {token}"
    )  # before the call: if its answer is lost, the same token gets the same execution
    try:
        arn = start.send(client)
    except Refused as error:
        message = f"{error}\n  if an answer was lost, the same command with --token {token} starts nothing twice"
        raise Refused(message) from error
    say(f"execution  {arn}")
    return arn


def _followed(configured: Config, client: Any, arn: str, *, again: str) -> Outcome:
    try:
        with progress.shown(sys.stderr) as show:
            return execution.follow(configured, client, arn, show=show)
    except KeyboardInterrupt:
        say(f"\nnot following any more; the execution goes on\n{_what_next(arn, again)}")
        raise
    except Refused as error:
        message = f"{error}\n  the execution goes on\n{_what_next(arn, again)}"
        raise Refused(message) from error


def _what_next(arn: str, again: str) -> str:
    return (
        f"  follow it:  {again}\n"
        f"  stop it:    aws sagemaker stop-pipeline-execution --pipeline-execution-arn {arn} "
        f"--client-request-token stop-{arn.rsplit('/', 1)[-1]:0>32}"
    )


def _again(arguments: argparse.Namespace, token: str) -> str:
    words = ["python -m pipeline.run", *(["--env", arguments.env] if arguments.env else [])]
    words += [f"--set {word}" for word in arguments.set]
    words += ["--from", arguments.source] if arguments.source else []
    return " ".join([*words, "--token", token, "--follow"])


def _told(outcome: Outcome) -> str:
    rows = progress.result(outcome)
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def _parser() -> argparse.ArgumentParser:
    epilog = f"parameters (type, default, meaning, range; conf/ENV.yaml may set other defaults):\n{help_table()}\n\n"
    parser = command.parser("pipeline.run", __doc__ or "", epilog + command.EXIT_CODES)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="Name=value",
        help="a parameter; may be repeated",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="EXECUTION",
        help="take all parameters from an execution, as it ran",
    )
    parser.add_argument(
        "--follow", action="store_true", help="watch until it ends; exit 0 only if it succeeded"
    )
    parser.add_argument(
        "--token", help="name of this start; the same name and parameters start nothing twice"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
