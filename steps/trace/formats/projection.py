"""A record in the words of a standard: `--format` of `python -m pipeline.trace`.

    content = projection.project("cyclonedx", evidence)
    content = projection.project("slsa", evidence, signed=True)     # the stored envelope

docs/formats.md has each format's table: which field comes from where, and what is left out. Equal
evidence gives equal bytes. A projection is never evidence: the record is.
"""

from collections.abc import Callable

from steps.governance.errors import UsageError
from steps.trace.formats import croissant, cyclonedx, openlineage, slsa, training_summary
from steps.trace.record_evidence import RecordEvidence

_PROJECTIONS: dict[str, Callable[[RecordEvidence], bytes]] = {
    "slsa": slsa.project,
    "openlineage": openlineage.project,
    "cyclonedx": lambda evidence: cyclonedx.project(evidence, "1.7"),
    "cyclonedx-1.6": lambda evidence: cyclonedx.project(evidence, "1.6"),
    "croissant": croissant.project,
    "training-summary": training_summary.project,
}
NAMES = tuple(_PROJECTIONS)


def project(name: str, evidence: RecordEvidence, *, signed: bool = False) -> bytes:
    """Return the record in the format `name`; UTF-8, one document (openlineage: one event a line).

    Args:
        name: one of `NAMES`.
        evidence: the record and its manifests, parsed.
        signed: slsa only: the stored DSSE envelope instead of its payload.

    Raises:
        UsageError: an unknown format, or a signed one that does not exist.
    """
    if name not in _PROJECTIONS:
        raise _refused(f"the format {name!r:.60} is unknown", ", ".join(NAMES), "choose one")
    if not signed:
        return _PROJECTIONS[name](evidence)
    if name != "slsa":
        raise _refused(f"the format {name} has no signed form", "slsa", "leave --signed out")
    if evidence.envelope is None:
        raise _refused(
            f"the record {evidence.record_uri} is not signed",
            "a stored record.dsse.json, which records have since version 2",
            "leave --signed out; the statement is then composed from the record",
        )
    return evidence.envelope.to_bytes() + b"\n"


def _refused(what: str, expected: str, do: str) -> UsageError:
    return UsageError(what, expected=expected, do=do)
