"""One precondition: what was expected, what was found, and its repair.

check = Check.of("stack x", found is not None, expected="deployed", found="none", fix="deploy it")
check.state        # "ok", "missing" or "unknown"
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import PipelineError

Refusals = tuple[type[Exception], ...]
State = Literal["ok", "missing", "unknown"]
OK: State = "ok"
MISSING: State = "missing"
UNKNOWN: State = "unknown"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's answer; `fix` is a command, a statement, a policy or a click."""

    name: str
    state: State = OK
    expected: str = ""
    found: str = ""
    fix: str = ""

    @classmethod
    def of(cls, name: str, held: bool, *, expected: str, found: str, fix: str) -> "Check":
        """Return the check of a condition that was seen."""
        return cls(name) if held else cls(name, MISSING, expected, found, fix)

    def text(self) -> str:
        """Return the check for a person: one line, and three more if something is wrong."""
        first = f"{self.state:<12}{self.name}"
        if self.state == OK:
            return first
        named = (("expected", self.expected), ("found", self.found), ("fix", self.fix))
        return "\n".join([first, *(f"              {key:<9}{text}" for key, text in named if text)])


def guarded(
    name: str, checks: Callable[[], Iterable[Check]], refusals: Refusals
) -> Iterator[Check]:
    """Yield the checks of one family; a refusal ends this family only, as "unknown"."""
    try:
        yield from checks()
    except refusals as error:
        text = " ".join(str(error).split())[:300]
        yield Check(name, UNKNOWN, "an answer", text, "run it as who may read this")
    except PipelineError as error:
        yield Check(name, UNKNOWN, "an answer", str(error).partition("\n")[0])
