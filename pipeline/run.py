"""Start an execution of the deployed pipeline, and follow it.

    python -m pipeline.run --env dev --follow
    python -m pipeline.run --env dev --set LoraRank=32 --set MaxEvalLoss=2.2
    python -m pipeline.run --env dev --from 4x7k2m9p1q0z --set Seed=18   # as that one, another seed
    python -m pipeline.run --env dev --from 4x7k2m9p1q0z --reuse --set LoraRank=32   # same examples
    python -m pipeline.run --env dev --set Epochs=3 --plan     # what it would take; starts nothing
    python -m pipeline.run --env dev --token 20261122T050000-a1b2c3 --follow   # repeat a start

Each start has a token. The same parameters under the same token are one execution.

--follow shows in Register's row what Register waits for and when it tries again (a schema that does
not exist, a workspace that does not answer). After six hours (`waits.register_seconds` of conf) the
step fails with that reason. `python -m pipeline.stop EXECUTION` ends one meanwhile, within a minute
if a register worker runs.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config
from pipeline.configuration.parameters import help_table
from pipeline.deployment import aliases
from pipeline.errors import Refused, UsageError
from pipeline.execution import following, reuse, start
from pipeline.inspection import expected


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    overrides = settings(arguments.set)
    if arguments.reuse and not arguments.source:
        message = "--reuse needs --from EXECUTION, whose examples are used again"
        raise UsageError(message)
    configured = config.load(command.environment(arguments.env))
    client = account.sagemaker(configured)
    if arguments.alias:
        client = aliases.OfAlias(client, arguments.alias, environment=configured.environment)
    token = arguments.token or start.new_token()
    prepared = _prepared(arguments, configured, client, token=token, overrides=overrides)
    if arguments.plan:
        return _planned(prepared, client, as_json=arguments.json)
    if arguments.follow:
        note("\n".join(expected.noted(configured, client, prepared.ran.values)[0]))
    arn = _sent(prepared, client, token)
    if not arguments.follow:
        output(json.dumps({"execution": arn, "token": token}) if arguments.json else arn)
        return 0
    outcome = following.followed(configured, client, arn, again=_repeat(arguments, token))
    return following.finished(configured, outcome, as_json=arguments.json)


def _prepared(
    arguments: argparse.Namespace,
    configured: config.Config,
    client: Any,
    *,
    token: str,
    overrides: dict[str, str],
) -> start.Start:
    """Compose what is started, and note what differs from what was asked."""
    if arguments.reuse:
        source = start.named(configured, client, arguments.source)
        overrides = {reuse.PARAMETER: reuse.origin_of(configured, client, source)} | overrides
    prepared = start.prepared(configured, client, overrides, token=token, source=arguments.source)
    upsert = command.line("pipeline.upsert", configured.environment)
    for name, text in prepared.left_out.items():
        note(
            f"left out   {name}={text}: the deployed definition no longer has this parameter; to "
            f"use it, deploy the commit of that execution first ({upsert})"
        )
    if prepared.reusable:
        note(
            f"reuse      Prepare would make the examples of {prepared.reusable} again; "
            "with --reuse it verifies them instead"
        )
    return prepared


def _planned(prepared: start.Start, client: Any, *, as_json: bool) -> int:
    """Print what would be started and what it would take; start nothing."""
    lines, estimate = expected.noted(prepared.config, client, prepared.ran.values)
    differs = {name: value for name, (_, value) in prepared.ran.differing.items()}
    if as_json:
        values = dict(prepared.ran.values)
        plan = {"parameters": values, "differs": differs, "expected": estimate}
        output(json.dumps(plan, indent=2))
        return 0
    asked = " ".join(f"{name}={value}" for name, value in differs.items())
    output("\n".join([f"parameters {asked or 'the defaults'}", *lines]))
    note("nothing was started; the same command without --plan starts it")
    return 0


def settings(words: Sequence[str]) -> dict[str, str]:
    """Return the `Name=value` words of `--set` as a mapping.

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


def _sent(prepared: start.Start, client: Any, token: str) -> str:
    # Shown before the call: if its answer is lost, the same token returns the same execution.
    note(f"token      {token}")
    try:
        arn = prepared.send(client)
    except Refused as error:
        message = (
            f"{error}\n  if an answer was lost, the same command with --token {token} "
            "starts nothing twice"
        )
        raise Refused(message) from error
    note(f"execution  {arn}")
    return arn


def _repeat(arguments: argparse.Namespace, token: str) -> str:
    """The command line that follows the same execution again."""
    words = ["pipeline.run", *(["--env", arguments.env] if arguments.env else [])]
    words += [word for text in arguments.set for word in ("--set", text)]
    words += ["--from", arguments.source] if arguments.source else []
    words += ["--alias", arguments.alias] if arguments.alias else []
    words += ["--reuse"] if arguments.reuse else []
    return f"python -m {shlex.join([*words, '--token', token, '--follow'])}"


def _parser() -> argparse.ArgumentParser:
    heading = "parameters (type, default, meaning, range; conf/ENV.yaml may set other defaults):"
    epilog = f"{heading}\n{help_table()}\n\n{command.EXIT_CODES}"
    parser = command.parser("pipeline.run", __doc__ or "", epilog)
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
        help="take all other parameters from an execution, as it ran",
    )
    parser.add_argument(
        "--alias",
        metavar="NAME",
        help="start the version that has this alias (`upsert --alias`; default: the newest)",
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="with --from: Prepare verifies that execution's examples instead of making them again",
    )
    parser.add_argument(
        "--follow", action="store_true", help="watch until it ends; exit 0 only if it succeeded"
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="check everything, print the estimate of time and cost, and start nothing",
    )
    parser.add_argument(
        "--token", help="name of this start; the same name and parameters start nothing twice"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
