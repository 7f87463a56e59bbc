"""What every command of this package has in common: its options' form, its environment, and how it ends.

Exit codes: 0 done · 1 refused or failed · 2 usage or configuration · 3 differs · 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import PipelineError, UsageError

EXIT_CODES = "exit codes: 0 done · 1 refused or failed · 2 bad usage or configuration · 3 differs"


def parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser with `--env`; the epilog is printed as written."""
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
    return made


def environment(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The environment that `--env` or `$PIPELINE_ENV` names; there is no default, so nobody deploys by accident.

    Raises:
        UsageError: neither is given.
    """
    if chosen := given or environ.get("PIPELINE_ENV"):
        return chosen
    message = "which environment? expected --env ENV or $PIPELINE_ENV, got neither; the files in conf/ are the choices"
    raise UsageError(message)


def ended(body: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """The exit code of a command; a fault of the user is one message on stderr, without a traceback."""
    try:
        return body(argv)
    except PipelineError as error:
        say(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away (`| head`); that is its right
        sys.stderr.close()
        return 1


def say(text: str) -> None:
    """A line for the person at the terminal; stdout is for results."""
    sys.stderr.write(f"{text}\n")


def put(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
