"""The errors of pipeline/ and the exit code of each.

PipelineError            one message for the user: what · expected · got · what to do
├── UsageError      2    a wrong command line
├── ConfigError     2    conf/<env>.yaml, with every fault in it
├── DefinitionError 2    the compiled definition breaks a rule or a limit of the service
└── Refused         1    AWS refused, could not be reached, or stored something else than was sent
"""

from collections.abc import Iterable
from difflib import get_close_matches


class PipelineError(Exception):
    """A fault that its message explains. Commands print it without a traceback."""

    exit_code = 1


class UsageError(PipelineError):
    """The command line asks for something that does not exist or is not possible."""

    exit_code = 2


class ConfigError(PipelineError):
    """A configuration file has faults. `faults` has the key path and the text of each."""

    exit_code = 2

    def __init__(self, file: str, faults: Iterable[tuple[str, str]]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__(listed(f"{file} has", self.faults))


class DefinitionError(PipelineError):
    """SageMaker would refuse the compiled definition, or run it in another way than intended."""

    exit_code = 2


class Refused(PipelineError):
    """AWS did not do what was requested."""


def listed(subject: str, faults: tuple[tuple[str, str], ...]) -> str:
    """Return every fault under one heading, with the keys in a column."""
    width = max(len(key) for key, _ in faults)
    heading = f"{subject} {len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return "\n".join([heading, *(f"  {key:<{width}}  {text}" for key, text in faults)])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to `name`, or None if none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'X'?`, or the known names if none is near."""
    known = list(known)
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else f"; known: {', '.join(known)}"
