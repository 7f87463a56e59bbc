"""The command line of `python -m pipeline.local`: its verbs, options and help texts.

arguments = parser(description, {"up": up, …}).parse_args(argv)
arguments.run_verb(arguments)
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline import command
from pipeline.local.setup import session_names

Verb = Callable[[argparse.Namespace], int]  # returns the exit code
_ROLES = ("scientist", "ci", "auditor", "approver", "reconciler")
_HELP = {
    "run": "start the environment, deploy and execute the pipeline, and print the result",
    "up": "start the servers, deploy the infrastructure, fill the catalog",
    "status": "print the servers, their URLs, executions that no register worker has taken, and "
    "the last notifications; exit code 1 if the environment does not run",
    "down": "stop every server; the next `up` continues with their state; exit code 1 if it could "
    "not be stored",
    "interrupt": "take a spot training job's instance away, as AWS's spot market does",
    "env": "print the variables of a client, secrets included, for eval",
}
_JSON = "print the result as JSON"
VERBS = tuple(_HELP)


def parser(description: str, verbs: Mapping[str, Verb]) -> argparse.ArgumentParser:
    """Return the parser; `run_verb` of its result is the function of the given verb."""
    whole = argparse.ArgumentParser(
        prog="python -m pipeline.local",
        description=description,
        epilog=command.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    added = whole.add_subparsers(metavar="VERB", required=True)
    by_name = {name: _verb(added, name, function) for name, function in verbs.items()}
    by_name["run"].add_argument(
        "--set",
        action="append",
        default=[],
        metavar="Name=value",
        help="a pipeline parameter; may be repeated",
    )
    by_name["run"].add_argument("--keep", action="store_true", help="leave the environment running")
    by_name["up"].add_argument(
        "--empty",
        action="store_true",
        help="start the account and the workspace with nothing in them, for pipeline.bootstrap",
    )
    for name in ("run", "up"):
        _add_start_options(by_name[name])
    by_name["run"].add_argument("--json", action="store_true", help=_JSON)
    shown = by_name["status"].add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help=_JSON)
    shown.add_argument(
        "--follow", action="store_true", help="then show notifications as they come, until Ctrl-C"
    )
    by_name["interrupt"].add_argument(
        "--job", metavar="NAME", help="the training job (default: the running one)"
    )
    _add_person(by_name["env"])
    return whole


def _verb(added: Any, name: str, function: Verb) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = added.add_parser(
        name,
        help=_HELP[name],
        description=_HELP[name],
        epilog=command.EXIT_CODES,
        allow_abbrev=False,
    )
    verb.set_defaults(run_verb=function)
    command.add_loudness(verb)
    verb.add_argument(
        "--state",
        metavar="DIR",
        help="the folder of all state (default: $PIPELINE_LOCAL_STATE or .local)",
    )
    return verb


def _add_person(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--as", dest="role", choices=_ROLES, default=_ROLES[0], help="default: scientist"
    )
    verb.add_argument(
        "--name",
        type=_session,
        help="who you are in runs, trace and approvals (default: a scientist's login name)",
    )


def _add_start_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--filings",
        action="append",
        type=Path,
        metavar="PATH",
        help="filings in EDGAR-CRAWLER's fields, as scripts.fetch_filings writes them too: JSON"
        " lines, one JSON document per file, an array,"
        " each also in gzip, or a folder of such files; may be repeated",
    )
    verb.add_argument(
        "--engine",
        choices=("sail", "spark"),
        default="sail",
        help="the Spark engine of Prepare (default: sail)",
    )
    verb.add_argument(
        "--identity",
        choices=("secret", "federated"),
        default="secret",
        help="how a step proves who it is to the workspace: by a stored secret, or by its AWS role,"
        " with no secret stored (default: secret)",
    )
    for name in ("aws", "workspace", "tracking"):
        verb.add_argument(
            f"--{name}-port",
            type=_port,
            metavar="PORT",
            help="default: a free one at the first start, later the same",
        )


def _session(text: str) -> str:
    if not session_names.is_name(text):
        raise argparse.ArgumentTypeError(f"expected {session_names.EXPECTED}, got {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)
