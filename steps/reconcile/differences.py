"""What a comparison finds: a difference between two services, and who may repair it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Remedy(Enum):
    """Who repairs a difference.

    REDRIVE: this program moves the message from the dead-letter queue to the register queue.
    WORKER: the register worker, which alone may sign and owns the models, is asked by a message.
    REJECT: this program rejects a package that no decision approves; it may not approve one.
    PERSON: evidence, READY versions and what somebody changed by hand are never touched.
    """

    REDRIVE = "redrive the message"
    WORKER = "ask the register worker"
    REJECT = "reject the package"
    PERSON = "left to a person"


@dataclass(frozen=True)
class Rejection:
    """A package of SageMaker's own registry that is to be rejected, and the reason it gets."""

    arn: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """Two services that disagree.

    `pair` is the comparison's stable code, `subject` the object, `what` one sentence. `execution`
    is the id (12 characters) that a remedy concerns; `advice` states what a person can do.
    """

    pair: str
    subject: str
    what: str
    remedy: Remedy = Remedy.PERSON
    execution: str = ""
    advice: str = ""
    rejection: Rejection | None = None


@dataclass(frozen=True)
class CouldNot:
    """A comparison that could not be made, or not of this subject, and the reason in one line."""

    pair: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """What all comparisons found at one moment."""

    differences: tuple[Difference, ...] = ()
    could_not: tuple[CouldNot, ...] = ()
    young: Mapping[str, str] | None = None  # executions that were left out, with the reason

    @property
    def exit_code(self) -> int:
        """0 all agree, 1 differences, 2 no difference was found and something was not compared."""
        return 1 if self.differences else 2 if self.could_not else 0


def one_line(error: Exception) -> str:
    """Return an error's text on one line, at most 300 characters."""
    return " ".join(str(error).split())[:300]
