"""What can go wrong on the declaring side, and the exit code each fault ends with.

PipelineError            one message for the user: what · expected · got · what to do
├── UsageError     2     a command line that cannot be meant
├── ConfigError    2     conf/<env>.yaml, with every fault in it at once
├── DefinitionError 2    the compiled definition breaks a rule or a limit of the service
└── Refused        1     AWS refused, could not be reached, or answered something else than was sent
"""

from collections.abc import Iterable
from difflib import get_close_matches


class PipelineError(Exception):
    """A fault that its message explains; commands print it without a traceback."""

    exit_code = 1


class UsageError(PipelineError):
    """The command line asks for something that does not exist or cannot be."""

    exit_code = 2


class ConfigError(PipelineError):
    """One environment's file cannot be used; `faults` maps each key path to what is wrong with it."""

    exit_code = 2

    def __init__(self, file: str, faults: Iterable[tuple[str, str]]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__(listed(f"{file} has", self.faults))


class DefinitionError(PipelineError):
    """The compiled definition would be refused, or would mean something else than it says."""

    exit_code = 2


class Refused(PipelineError):
    """AWS did not do what was asked."""


def listed(subject: str, faults: tuple[tuple[str, str], ...]) -> str:
    """Every fault under one heading, aligned so that the keys read as a column."""
    width = max(len(key) for key, _ in faults)
    heading = f"{subject} {len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return "\n".join([heading, *(f"  {key:<{width}}  {text}" for key, text in faults)])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant to be."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?`, or the names there are when none is near."""
    known = list(known)
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else f"; known: {', '.join(known)}"
