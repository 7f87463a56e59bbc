"""The judgement of one run of a fault campaign, from what is stored and what the user sees.

end, why = judged(seen, injected)        # (End.UNTRUE, "HTTP 503 … is not the 404 of GET /…")

`truth` has the rule for a reason. A run that ended complete may also have shown reasons meanwhile
(why the step waits, why a worker ended): each of them must be true as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tests.steps.faults.support.truth import Injected, is_true


class End(Enum):
    """What became of a run; the last four may not be."""

    COMPLETE = "complete"
    TRUE = "ended with a true reason"
    UNTRUE = "ended with another reason"
    HUNG = "hung"
    DISAGREEING = "disagreeing"
    DUPLICATE = "duplicates"


FAULTY = (End.UNTRUE, End.HUNG, End.DISAGREEING, End.DUPLICATE)


@dataclass(frozen=True)
class Seen:
    """One run, after it ended or after no more was waited for.

    Args:
        status: of the step or job: Succeeded, Failed, or as it waits.
        hung: why it is not settled; empty if it is.
        reasons: the texts that the user saw, with that of the Failure.
        usable: what is stored that a user would take for a result.
        missing: what must be stored after this run and is not.
        copies: how often each thing is stored that may exist once.
    """

    status: str
    hung: str = ""
    reasons: Sequence[str] = ()
    usable: Sequence[str] = ()
    missing: str = ""
    copies: Mapping[str, int] = field(default_factory=dict)


def judged(seen: Seen, injected: Sequence[Injected]) -> tuple[End, str]:
    """Return what became of the run, and the proof where it is not complete."""
    if twice := [f"{count} × {name}" for name, count in seen.copies.items() if count > 1]:
        return End.DUPLICATE, ", ".join(twice)
    if seen.hung or seen.status not in ("Succeeded", "Failed"):
        return End.HUNG, seen.hung or f"no message is left, and the step is {seen.status}"
    if seen.missing:
        return End.DISAGREEING, f"{seen.status}, but {seen.missing}"
    if seen.status == "Failed" and seen.usable:
        return End.DISAGREEING, f"Failed, but there is {', '.join(seen.usable)}"
    if untrue := [reason for reason in seen.reasons if not is_true(reason, injected)]:
        return End.UNTRUE, untrue[0]
    if seen.status == "Failed":
        return (End.TRUE, seen.reasons[-1]) if seen.reasons else (End.UNTRUE, "no reason")
    return End.COMPLETE, ""
