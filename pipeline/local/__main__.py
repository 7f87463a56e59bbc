"""The embedded environment: the whole governed fine-tune on this machine.

It needs no account, no Docker and no network.

python -m pipeline.local run                          # everything, on a synthetic corpus
python -m pipeline.local run --filings PATH --keep    # on your filings; the servers stay up
python -m pipeline.local up                           # start and fill the environment
eval "$(python -m pipeline.local env)"                # then pipeline.run, boto3, mlflow …
python -m pipeline.local interrupt                    # take the running spot job's instance away
python -m pipeline.local status
python -m pipeline.local down
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from pipeline import command
from pipeline.command import note, output
from pipeline.configuration import parameters
from pipeline.execution import progress
from pipeline.local import command_line
from pipeline.local.host import disk, signals


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    verbs = {
        "run": _run,
        "up": _up,
        "status": _status,
        "down": _down,
        "interrupt": _interrupt,
        "env": _env,
    }
    arguments = command_line.parser(__doc__ or "", verbs).parse_args(argv)
    signals.end_as_interrupt()
    _remove_cloud_variables()
    with disk.noted_if_full(_state(arguments)):
        return int(arguments.run_verb(arguments))


def _run(arguments: argparse.Namespace) -> int:
    overrides = _checked(arguments.set)
    state = _state(arguments)
    state.require_free(_ports(arguments))
    given = _filings(arguments)  # all before the imports below, which take seconds
    from pipeline.local import journey, result

    kept = arguments.keep
    try:
        with progress.shown(sys.stderr) as show:
            options = _options(arguments, given)
            travelled = journey.travel(state, options, overrides, announce=note, show=show)
        kept = kept or not state.use.started_here
        # Before `down`, which a full disk can end with an error
        if arguments.json:
            output(json.dumps(result.document(travelled), indent=2, default=str))
        else:
            rows = result.rows(travelled, kept=kept)
            output("\n".join(f"{name:<12} {value}" for name, value in rows))
    except KeyboardInterrupt:
        kept = False
        runs_on = state.load().running and not state.use.started_here
        note(f"\ninterrupted; {'the environment runs on' if runs_on else 'stopping the servers …'}")
        raise
    finally:
        kept = kept or not _stopped(state)
    if travelled.warning:
        note(f"warning      {travelled.warning}")
    note(_what_next(arguments, travelled.outcome, kept=kept))
    return 0 if travelled.outcome is not None and travelled.outcome.succeeded else 1


def _stopped(state: Any) -> bool:
    """Stop the servers that this command started, unless another `run` uses them now."""
    from pipeline.local import environment
    from pipeline.local.host.state import Busy

    if not state.use.started_here:
        return False
    try:
        if state.use.may_stop():
            environment.down(state)
            return True
    except Busy:  # another `run` begins
        pass
    finally:
        state.use.end()
    note(f"left running, since another run uses it; to stop it: {state.typed('down')}")
    return False


def _checked(words: Sequence[str]) -> dict[str, str]:
    """Return the values of `--set`, checked with the environment's own defaults."""
    from pipeline.configuration.config import default_parameters
    from pipeline.configuration.fields import LOCAL
    from pipeline.run import settings

    overrides = settings(words)
    parameters.check(overrides, default_parameters(LOCAL))
    return overrides


def _what_next(arguments: argparse.Namespace, outcome: Any, *, kept: bool) -> str:
    if kept:
        run = outcome.id if outcome else ""
        logs = outcome is not None and not outcome.succeeded and not outcome.rejected
        return (
            f"left running; look around with: {_env_command(arguments)}\n"
            "  all runs:   python -m pipeline.runs\n"
            f"  as a page:  python -m pipeline.report --execution {run}"
        ) + (f"\n  its log:    python -m pipeline.logs {run}" if logs else "")
    return "stopped; to look around afterwards, add --keep to the same command"


def _up(arguments: argparse.Namespace) -> int:
    state = _state(arguments)
    state.require_free(_ports(arguments))  # and a record that cannot be read, before the imports
    given = _filings(arguments)
    from pipeline.local import environment

    if arguments.empty:
        environment.up_empty(state, _options(arguments, given))
        words = ["--state", arguments.state] if arguments.state else []
        again = shlex.join(["python", "-m", "pipeline.bootstrap", "--env", "local", *words])
        note(f"up, and empty; fill it with: {again}")
        return 0
    from pipeline.local.notifications.bulletin import Bulletin

    command.begin("environment")
    started = environment.up(state, _options(arguments, given))
    note(f"up; use it with: {_env_command(arguments)}")
    Bulletin(started).show()
    output(json.dumps(started.variables, indent=2))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    state = _state(arguments)
    if not state.load().processes:
        note("stopped nothing: nothing was running")
        return 0
    from pipeline.local import environment

    stopped = environment.down(state)
    note(
        "stopped "
        f"{', '.join(process.name for process in stopped) or 'nothing: nothing was running'}"
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pipeline.local import status

    return status.shown(_state(arguments), arguments)


def _interrupt(arguments: argparse.Namespace) -> int:
    job = _running(arguments).root.interrupt(arguments.job)
    note(f"{job}: its instance is taken away; it starts again from its checkpoints")
    return 0


def _env(arguments: argparse.Namespace) -> int:
    from pipeline.local.host.state import VARIABLE

    started = _running(arguments)
    lend = started.as_role if arguments.role == "ci" else started.as_principal
    variables = lend(arguments.role, arguments.name)
    # So that the commands of this shell mean this environment, and know whose keys it has
    variables |= {VARIABLE: started.state.text, command.ROLE: arguments.role}
    output(
        "\n".join(
            f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())
        )
    )
    return 0


def _running(arguments: argparse.Namespace) -> Any:
    from pipeline.local import started

    return started.found(_state(arguments))


def _remove_cloud_variables() -> None:
    """Remove profiles and tokens of real clouds, and exclude the loopback from proxies."""
    for name in [
        name for name in os.environ if name.startswith(("AWS_", "DATABRICKS_", "MLFLOW_"))
    ]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))


def _env_command(arguments: argparse.Namespace) -> str:
    state = ["--state", arguments.state] if arguments.state else []
    words = [sys.executable, "-m", "pipeline.local", "env", *state]
    return f'eval "$({shlex.join(words)})"'


def _state(arguments: argparse.Namespace) -> Any:
    from pipeline.local.host import state

    return state.chosen(arguments.state)


def _filings(arguments: argparse.Namespace) -> Any:
    """Read the filings that were given, or make the small corpus; name which on stderr."""
    from pipeline.local.setup import filings
    from pipeline.local.synthetic import corpus

    if not arguments.filings:
        return corpus.small()
    rows = filings.read(arguments.filings)
    word = "filing" if len(rows) == 1 else "filings"
    note(f"corpus      {len(rows)} {word} of {', '.join(map(str, arguments.filings))}")
    return filings.Filings(rows, asked_for=True)


def _options(arguments: argparse.Namespace, given: Any) -> Any:
    from pipeline.local.environment import Options

    return Options(given, arguments.engine, arguments.identity, _ports(arguments))


def _ports(arguments: argparse.Namespace) -> dict[str, int | None]:
    return {name: getattr(arguments, f"{name}_port") for name in ("aws", "workspace", "tracking")}


if __name__ == "__main__":
    sys.exit(command.ended(main))
