"""The embedded environment: the whole governed fine-tune on this machine, without an account,
Docker or a network.

python -m pipeline.local run                                # everything, on a synthetic corpus, and down again
python -m pipeline.local run --filings PATH --keep          # on your filings; leave it running to look around
python -m pipeline.local up && eval "$(python -m pipeline.local env)"   # then pipeline.upsert, pipeline.run, boto3, mlflow …
python -m pipeline.local interrupt                          # the spot instance of the running training job is gone; it resumes
python -m pipeline.local status | down
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import command, parameters
from pipeline.command import put, say
from pipeline.errors import PipelineError
from pipeline.execution import progress
from pipeline.local.host import signals

_DEFAULT_STATE = ".local"
_CORPUS = {
    "filings": 24,
    "seed": 3,
}  # a short run that has many companies, styles of heading and reasons to drop
_ROLES = ("scientist", "ci")


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    signals.end_as_interrupt()
    _forget_this_shells_cloud()
    done: int = arguments.do(arguments)
    return done


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.config import default_parameters
    from pipeline.configuration.fields import LOCAL
    from pipeline.local import environment, journey, result
    from pipeline.run import settings

    overrides = settings(arguments.set)
    parameters.check(overrides, default_parameters(LOCAL))  # before anything is started
    state, options = _state(arguments), _options(arguments)
    was_running = state.load().running  # then it is somebody's, and not ours to stop
    kept = arguments.keep or was_running
    try:
        with progress.shown(sys.stderr) as show:
            travelled = journey.travel(state, options, overrides, say=say, show=show)
    except KeyboardInterrupt:
        kept = was_running
        raise
    finally:
        if not kept:
            environment.down(state)
    if arguments.json:
        put(json.dumps(result.document(travelled), indent=2, default=str))
    else:
        put("\n".join(f"{name:<12} {value}" for name, value in result.rows(travelled)))
    if kept:
        say(f"left running; look around with: {_way_in(arguments)}")
    return 0 if travelled.outcome is not None and travelled.outcome.succeeded else 1


def _up(arguments: argparse.Namespace) -> int:
    from pipeline.local import environment

    started = environment.up(_state(arguments), _options(arguments))
    say(f"up; use it with: {_way_in(arguments)}")
    put(json.dumps(started.variables, indent=2))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from pipeline.local import environment

    stopped = environment.down(_state(arguments))
    say(
        "stopped "
        f"{', '.join(process.name for process in stopped) or 'nothing: nothing was running'}"
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    record = _state(arguments).load()
    servers = [
        {
            "name": process.name,
            "pid": process.pid,
            "running": process.handle() is not None,
            "url": f"http://127.0.0.1:{record.ports[process.name]}"
            if process.name in record.ports
            else "",
        }
        for process in record.processes
    ]
    if arguments.json:
        put(json.dumps({"running": record.running, "servers": servers}, indent=2))
    elif not servers:
        put("down")
    for server in servers if not arguments.json else ():
        state = "running" if server["running"] else "ended"
        put(f"{server['name']:<10} {state:<8} pid {server['pid']:<8} {server['url']}".rstrip())
    return 0 if record.running else 1


def _interrupt(arguments: argparse.Namespace) -> int:
    job = _running(arguments).root.interrupt(arguments.job)
    say(f"{job}: its instance is taken away; it starts again from its checkpoints")
    return 0


def _env(arguments: argparse.Namespace) -> int:
    started = _running(arguments)
    variables = (
        started.as_scientist() if arguments.role == "scientist" else started.as_role(arguments.role)
    )
    put(
        "\n".join(
            f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())
        )
    )
    return 0


def _running(arguments: argparse.Namespace) -> Any:
    from pipeline.local.environment import Started
    from pipeline.local.host.servers import Servers

    state = _state(arguments)
    record = state.load()
    if not record.running:
        raise PipelineError(
            f"no environment runs in {state.folder}\n  do        python -m pipeline.local up"
        )
    return Started(state, Servers(state, record), fresh=False)


def _forget_this_shells_cloud() -> None:
    """A profile, token or proxy of this shell must neither reach the stand-ins nor keep us from
    them.
    """
    for name in [
        name for name in os.environ if name.startswith(("AWS_", "DATABRICKS_", "MLFLOW_"))
    ]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))


def _way_in(arguments: argparse.Namespace) -> str:
    words = [
        sys.executable,
        "-m",
        "pipeline.local",
        "env",
        *(["--state", arguments.state] if arguments.state else []),
    ]
    return f'eval "$({shlex.join(words)})"'


def _state(arguments: argparse.Namespace) -> Any:
    from pipeline.local.host.state import State

    return State(Path(arguments.state or os.environ.get("PIPELINE_LOCAL_STATE") or _DEFAULT_STATE))


def _options(arguments: argparse.Namespace) -> Any:
    from pipeline.local import filings
    from pipeline.local.environment import Options
    from pipeline.local.synthetic import corpus

    rows = (
        filings.read(arguments.filings)
        if arguments.filings
        else filings.checked(corpus.generate(**_CORPUS))
    )
    loaded = filings.Filings(rows, asked_for=bool(arguments.filings))
    ports = {
        "aws": arguments.aws_port,
        "workspace": arguments.workspace_port,
        "tracking": arguments.tracking_port,
    }
    return Options(filings=loaded, engine=arguments.engine, ports=ports)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local",
        description=__doc__,
        epilog=command.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    run = _verb(verbs, "run", _run, "the whole journey in one go, ending with a result table")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="Name=value",
        help="a pipeline parameter; may repeat",
    )
    run.add_argument("--keep", action="store_true", help="leave the environment running")
    _starting(run)
    _starting(
        _verb(verbs, "up", _up, "start the servers, deploy the infrastructure, fill the catalog")
    )
    for verb in (
        run,
        _verb(verbs, "status", _status, "what runs, and where; exit 1 if it does not"),
    ):
        verb.add_argument("--json", action="store_true", help="print the result as JSON")
    _verb(verbs, "down", _down, "stop every server; `up` goes on with what they hold")
    spot = _verb(
        verbs,
        "interrupt",
        _interrupt,
        "take a spot training job's instance away, as AWS's market does",
    )
    spot.add_argument(
        "--job", metavar="NAME", help="which training job (default: the one that runs)"
    )
    env = _verb(verbs, "env", _env, "print the variables of a client, secrets included, for eval")
    env.add_argument(
        "--as", dest="role", choices=_ROLES, default=_ROLES[0], help="whose (default: scientist)"
    )
    return parser


def _verb(verbs: Any, name: str, do: Any, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    verb.set_defaults(do=do)
    verb.add_argument(
        "--state",
        metavar="DIR",
        help="folder that holds everything (default: $PIPELINE_LOCAL_STATE or .local)",
    )
    return verb


def _starting(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--filings",
        action="append",
        type=Path,
        metavar="PATH",
        help="filings in EDGAR-CRAWLER's fields: JSON lines, one JSON document a file, an array, "
        "each also in gzip, or a folder"
        " of such files; may repeat",
    )
    verb.add_argument(
        "--engine",
        choices=("sail", "spark"),
        default="sail",
        help="who runs Prepare (default: sail)",
    )
    for name in ("aws", "workspace", "tracking"):
        verb.add_argument(
            f"--{name}-port",
            type=_port,
            metavar="PORT",
            help="default: a free one, and then the same again",
        )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(command.ended(main))
