"""What the commands of this package share: the form of their options, and how they end.

Exit codes: 0 done · 1 refused or failed · 2 usage or configuration · 3 differs · 130 interrupted.
"""

import argparse
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from pipeline.errors import PipelineError, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCAL = "local"  # `configuration.fields.LOCAL`, which needs pydantic and so half a second
ROLE = "PIPELINE_LOCAL_ROLE"  # whose keys a shell of the embedded environment has
_USUAL_COLUMNS = 80  # of a terminal that does not state its width
_loudness: set[str] = set()
EXIT_CODES = "exit codes: 0 done · 1 refused or failed · 2 bad usage or configuration · 3 differs"


def parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser with the option `--env`. The epilog is printed as it is written."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--env", metavar="ENV", help="a file in conf/: local, dev or prod (default: $PIPELINE_ENV)"
    )
    add_loudness(made)
    return made


def add_loudness(made: argparse.ArgumentParser) -> None:
    """Add `--quiet` and `--verbose`, which hold for this process."""
    _loudness.clear()
    made.add_argument("--quiet", action=_Loudness, help="results and errors only, no progress")
    made.add_argument("--verbose", action=_Loudness, help="also each call of AWS, on stderr")


class _Loudness(argparse.Action):
    """An option without a value that `quiet` and `verbose` read."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, *_: object) -> None:
        _loudness.add(self.dest)


def quiet() -> bool:
    """Return whether this command was asked for results and errors only."""
    return "quiet" in _loudness


def verbose() -> bool:
    """Return whether this command was asked to show its calls."""
    return "verbose" in _loudness


def environment(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the environment that `--env` or `$PIPELINE_ENV` names.

    It has no default, so nobody deploys to an environment by accident.

    Raises:
        UsageError: neither is given.
    """
    if chosen := given or environ.get("PIPELINE_ENV"):
        return chosen
    message = (
        "which environment? expected --env ENV or $PIPELINE_ENV, got neither; "
        "the files in conf/ are the choices"
    )
    raise UsageError(message)


def require_role(environment: str, role: str) -> None:
    """Refuse a shell of the embedded environment that has the keys of another role.

    An account has no such variable: there AWS refuses, and its message names the right.

    Raises:
        UsageError: the shell has another role.
    """
    held = os.environ.get(ROLE)
    if environment == _LOCAL and held not in (None, role):
        message = (
            f"this shell has the keys of `{held}`; expected those of `{role}`\n"
            f'  do        eval "$(python -m pipeline.local env --as {role})"'
        )
        raise UsageError(message)


def shell_role(roles: Sequence[str]) -> str:
    """Return the role of a shell of the embedded environment if it is one of some, else the first.

    An account has no such variable: there `--as` names another role than the first.
    """
    held = os.environ.get(ROLE, "")
    return held if held in roles else roles[0]


Body = Callable[[Sequence[str] | None], int]  # a command's `main`


def ended(body: Body, argv: Sequence[str] | None = None) -> int:
    """Run a command's `main` and return its exit code.

    A `PipelineError` is a fault of the user or of AWS: one message on stderr, without a traceback.
    """
    if sys.stderr is None:  # `2>&-`: nobody wants to read it; a file must not get its number
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.stdout is None:
        complain(
            "stdout is closed, so the result has no place; nothing was done\n"
            "  do        leave it open, or write to a file: > /dev/null if you do not need it"
        )
        return 2
    try:
        return body(argv)
    except PipelineError as error:
        complain(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of stdout ended first, as `head` does
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        path = error.filename or "the disk that this command writes to"
        complain(
            f"the disk is full: {path}: {error.strerror}\n  do        make room, and run it again"
        )
        return 1


def step(module: str, words: Sequence[str], variables: Mapping[str, str], *, doing: str) -> int:
    """Run `python -m <module>` of steps/ to its end, in the caller's folder; return its exit code.

    `doing` is shown at once: the step's own first line waits for the SDKs that it imports.

    It is a separate process, because pipeline/ does not import steps/. It takes its identities from
    this process's environment, so no secret is in its arguments. `variables` are added to it.
    """
    begin(doing)
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, check=False, env=os.environ | variables).returncode


def answer(
    module: str, words: Sequence[str], variables: Mapping[str, str], *, doing: str
) -> tuple[int, str]:
    """Run a step as `step` does; return its exit code and what it printed to stdout."""
    begin(doing)
    command = [sys.executable, "-m", module, *words]
    ended = subprocess.run(
        command, check=False, env=os.environ | variables, stdout=subprocess.PIPE, text=True
    )
    return ended.returncode, ended.stdout


def line(module: str, environment: str, words: str = "") -> str:
    """Return a command for a person to type, with `--env` where $PIPELINE_ENV does not name it."""
    named = "" if os.environ.get("PIPELINE_ENV") == environment else f" --env {environment}"
    return f"python -m {module}{named} {words}".rstrip()


def line_as(role: str, module: str, environment: str, words: str = "") -> str:
    """Return `line` for the shell of a role: that of the embedded environment may have
    the keys of another one. In an account a person signs in as they do there."""
    typed = line(module, environment, words)
    if environment != _LOCAL or os.environ.get(ROLE) in (None, role):
        return typed
    return f'eval "$(python -m pipeline.local env --as {role})" && {typed}'


def coloured(stream: IO[str]) -> bool:
    """Return whether to write colours: to a terminal, and not where $NO_COLOR is set."""
    return columns(stream) > 0 and not os.environ.get("NO_COLOR")


def columns(stream: IO[str]) -> int:
    """Return the width of a terminal on which a line can be written over.

    It is 0 for a file, a pipe, and a terminal that cannot move back (TERM=dumb).
    """
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return 0
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except OSError:  # it has no number, or no size
        return _USUAL_COLUMNS


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text with the columns aligned. The last column may be of any width."""
    every = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(headings))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in every
    )
    return "\n".join(line.rstrip() for line in lines)


def note(text: str) -> None:
    """Write a line for the person at the terminal to stderr, unless --quiet was given. stdout is
    for results."""
    if not quiet():
        complain(text)


def begin(doing: str) -> None:
    """Tell the person what a command does, before the SDK is imported that it needs for it."""
    note(f"{doing} …")
    sys.stderr.flush()


def complain(text: str) -> None:
    """Write an error to stderr."""
    sys.stderr.write(f"{text}\n")


def output(text: str) -> None:
    """Write a line of the result to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
