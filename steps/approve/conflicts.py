"""Why a decision contradicts another one: each message names who decided what, and when."""

from steps.approve.decisions import Decision
from steps.governance.errors import Conflict
from steps.governance.names import UcName


def already(decision: Decision) -> Conflict:
    """Return the error for a decision that another person made."""
    made = decision.approval
    done = "approved" if made.action == "approve" else "revoked"
    return Conflict(
        f"alias {made.alias} of version {made.version} of {made.model} is {done} already",
        expected="no decision yet, or your own with the same reason",
        got=f"{made.approver} at {made.decided_at}: {made.reason}"[:400],
        do="nothing, or decide the opposite with its own reason",
    )


def superseded(decision: Decision, later: Decision) -> Conflict:
    """Return the error for a decision that a later one replaced."""
    made = later.approval
    return Conflict(
        f"{decision.key} was superseded before it took effect",
        expected=f"no later decision about alias {made.alias}",
        got=f"{made.action} of version {made.version} by {made.approver} at {made.decided_at}",
        do="nothing, or decide again with a new reason",
    )


def moved_on(alias: str, version: tuple[UcName, int], current: int | None) -> Conflict:
    """Return the error for an alias that points elsewhere by now."""
    return Conflict(
        f"alias {alias} of {version[0]} has moved on",
        expected=f"version {version[1]}",
        got=f"version {current}" if current else "no version",
        do="revoke the approval of that version",
    )
