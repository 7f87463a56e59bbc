"""How a step that a person starts ends: an exit code, and one message for what it refused.

return ending.ended("audit", lambda: _audit(parse(argv)), refused=2)
"""

import sys
from collections.abc import Callable

from steps.governance.errors import GovernanceError
from steps.governance.logs import configure


def ended(
    step: str, body: Callable[[], int], *, refused: int | None = None, named: bool = False
) -> int:
    """Run a step and return its exit code.

    Args:
        step: its name in log lines.
        body: parses the arguments, works and prints; returns the exit code.
        refused: the code after one of our errors, where it is not the error's.
        named: whether the message begins with the error's class.
    """
    try:
        configure(step)
        code = body()
        sys.stdout.flush()
    except GovernanceError as error:
        name = f"{type(error).__name__}: " if named else ""
        sys.stderr.write(f"{name}{error}\n")
        return error.exit_code if refused is None else refused
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of stdout ended first, as `head` does
        sys.stderr.close()
        return 1 if refused is None else refused
    return code
