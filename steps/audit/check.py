"""One check: a stable code, and the comparison that it makes. A failing check hides no other.

check = Check("train.manifest", documents.train_manifest)
finding = run(check, case)      # always one line
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from steps.audit.findings import (
    Blocked,
    Comparison,
    Differs,
    Finding,
    Gone,
    Note,
    Outcome,
    compared,
    shown,
)
from steps.governance.errors import (
    GovernanceError,
    IntegrityError,
    NameRefused,
    NotFound,
)

_Subject = TypeVar("_Subject")


@dataclass(frozen=True)
class Check(Generic[_Subject]):
    """A check of a record, of the ledger, of a model or of the bucket.

    `deep`: it reads whole files, which `--quick` leaves out.
    """

    code: str
    compare: Callable[[_Subject], Comparison | Note]
    deep: bool = False


def run(check: Check[_Subject], subject: _Subject, name: str) -> Finding:
    """Run one check and return its line; no error leaves it but a defect of this program."""
    return replace(_found(check, subject), subject=name)


def _found(check: Check[_Subject], subject: _Subject) -> Finding:
    code = check.code
    try:
        result = check.compare(subject)
    except Differs as found:
        return Finding(
            code, Outcome.MISMATCH, shown(found.expected), shown(found.found), found.where
        )
    except Gone as found:
        return Finding(code, Outcome.GONE, shown(found.expected), shown(found.found), found.where)
    except Blocked as found:
        return Finding(code, Outcome.COULD_NOT, f"needs {found.code}", "it cannot be used", "")
    except (IntegrityError, NotFound, NameRefused) as error:
        return Finding(code, Outcome.MISMATCH, _expected(error), shown(error), "")
    except GovernanceError as error:  # no right, no answer
        return Finding(code, Outcome.COULD_NOT, "an answer", shown(error), "")
    if isinstance(result, Note):
        return Finding(
            code, Outcome.NOTE, shown(result.expected), shown(result.found), result.where
        )
    return compared(code, result)


def _expected(error: GovernanceError) -> str:
    return "that it is there" if isinstance(error, NotFound) else "what was recorded"
