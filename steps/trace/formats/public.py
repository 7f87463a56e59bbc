"""What a document for the public may contain of a record: names, versions, digests and counts.

CycloneDX, Croissant and the training-content summary are given to customers or published. They
have no S3 URI, ARN, account, host, principal, grant, job id or evidence path. A value reaches them
only through a field that a projection names, or through the lists of parameters here.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from steps.governance.openlineage.events import PARAMETERS
from steps.trace.record_evidence import RecordEvidence

_DOCUMENTS = uuid.UUID("d0a0c5a2-52a5-5b0a-8f25-0e9a4b6d7c21")  # our namespace of document ids


def hyperparameters(evidence: RecordEvidence) -> dict[str, str]:
    """Return Train's hyperparameters that decide the model, by name, sorted."""
    return chosen(evidence.record.train.hyperparameters, PARAMETERS)


def chosen(values: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """Return the values of the listed names, sorted."""
    return {name: values[name] for name in sorted(names & values.keys())}


def image(reference: str) -> tuple[str, str | None]:
    """Return an image's name without its registry (which names the account), and its sha256."""
    name, _, digest = reference.partition("@sha256:")
    return name.rpartition("/")[2].partition(":")[0] or "image", digest or None


def document_id(evidence: RecordEvidence, kind: str) -> str:
    """Return a UUID that is the same for every projection of this record."""
    return str(uuid.uuid5(_DOCUMENTS, f"{kind}|{evidence.record.key}"))


def rendered(document: Mapping[str, Any]) -> bytes:
    """Return a JSON document as indented UTF-8 with a last line break."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
