"""One change of an environment, and how changes are planned or made.

    done = carried_out(parts, plan=False, show=print)

A part looks at what exists as it goes, so that each change sees the ones before it. In a plan
nothing is made, and what depends on a planned object is planned too. The first refusal ends both,
in one message that names whom to ask.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import PipelineError, Refused

# + is made, ~ is changed, - is removed, ! is left to a person
Sign = Literal["+", "~", "-", "!"]


@dataclass(frozen=True)
class Change:
    """One change. A change for a person has no `make`: the details are what to do."""

    sign: Sign
    what: str
    make: Callable[[], object] | None = None
    details: tuple[str, ...] = ()
    stops: bool = False  # what follows needs it: without it a person goes first

    def text(self) -> str:
        """Return the change in one line, and a line for each detail."""
        return "\n".join([f"{self.sign} {self.what}", *(f"    {line}" for line in self.details)])


Changes = Generator[Change, None, None]


@dataclass(frozen=True)
class Part:
    """Changes that one person may make."""

    name: str
    who: str  # who may do it, and the right that it takes
    changes: Callable[[], Changes]


class _Stopped(Exception):
    """A change that a person makes is needed before what follows."""


def carried_out(
    parts: Sequence[Part], *, plan: bool, show: Callable[[Change], None]
) -> list[Change]:
    """Show every change and, unless it is a plan, make it; return the changes.

    Raises:
        Refused: a service refused; the later changes are not made.
    """
    found: list[Change] = []
    for part in parts:
        try:
            _of_part(part, found, plan=plan, show=show)
        except _Stopped:
            break
    return found


def _of_part(
    part: Part, found: list[Change], *, plan: bool, show: Callable[[Change], None]
) -> None:
    from botocore.exceptions import BotoCoreError, ClientError
    from databricks.sdk.errors.base import DatabricksError

    change: Change | None = None
    try:
        with closing(part.changes()) as changes:
            for change in changes:
                show(change)
                found.append(change)
                if change.stops and not plan:
                    raise _Stopped
                if change.make is not None and not plan:
                    change.make()
                change = None
    except (ClientError, BotoCoreError, DatabricksError, ValueError, OSError) as error:
        at = f"{change.sign} {change.what}" if change else f"reading {part.name}"
        text = " ".join(str(error).split())[:600]
        message = f"{at} was refused\n  got       {text}\n  ask       {part.who}\n"
        message += "  do        run the same command again: what is made stays"
        raise Refused(message) from error
    except PipelineError as error:
        raise type(error)(*error.args) if change is None else _named(change, part, error) from error


def _named(change: Change, part: Part, error: PipelineError) -> PipelineError:
    return Refused(f"{change.sign} {change.what}: {error}\n  ask       {part.who}")
