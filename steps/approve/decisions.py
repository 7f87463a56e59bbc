"""The decisions about a model version: approvals and revocations, numbered from 1, each signed.

    decisions = Decisions(evidence, "s3://<evidence>", signer)
    decisions.of(model, 3)               # all of them, verified, in their order
    decisions.add(approval, number=2)    # Conflict if another person was faster

A decision is created with `If-None-Match`, so of two people who decide at once one succeeds.
"""

from dataclasses import dataclass

from steps.governance.documents import canonical
from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.envelope import Envelope
from steps.governance.errors import IntegrityError, NotFound, UsageError
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.ledger_writer import About
from steps.governance.signing.public_key import PublicKey


@dataclass(frozen=True)
class Decision:
    """A stored decision: its key in the evidence bucket, its bytes' sha256, and its content."""

    key: str
    sha256: str
    approval: Approval

    @property
    def about(self) -> About:
        """What its entry in the ledger is about."""
        kind = "approval" if self.approval.action == "approve" else "revocation"
        return About(kind, self.key, self.sha256)  # type: ignore[arg-type]


class Decisions:
    """The folder `approvals/` of the evidence bucket."""

    def __init__(self, evidence: Evidence, bucket_uri: str, signer: Signer) -> None:
        self._evidence, self._bucket_uri, self._signer = evidence, bucket_uri, signer

    def of(self, model: UcName, version: int) -> list[Decision]:
        """Return the decisions about a version in their order.

        Raises:
            IntegrityError: one is not signed with the approvers' key, or is about another version.
        """
        found: list[Decision] = []
        while True:
            try:
                found.append(self.read(_key(str(model), version, len(found) + 1)))
            except NotFound:
                return found

    def read(self, key: str) -> Decision:
        """Return a decision.

        Raises:
            NotFound: the decision does not exist.
            IntegrityError: it cannot be trusted.
        """
        uri = f"{self._bucket_uri}/{key}"
        content = self._evidence.read(uri)
        envelope = Envelope.from_bytes(content, origin=uri)
        self._signer.verify(envelope, origin=uri)
        approval = Approval.from_bytes(envelope.content, origin=uri)
        place = f"{_folder(approval.model, approval.version)}/"
        if envelope.payload_type != PAYLOAD_TYPE or not key.startswith(place):
            raise IntegrityError(
                f"{uri} is not a decision of this place",
                expected=f"{PAYLOAD_TYPE} below {place}",
                got=envelope.payload_type,
                do="run `python -m pipeline.audit --all`",
            )
        return Decision(key, canonical.sha256(content), approval)

    def add(self, approval: Approval, number: int) -> Decision:
        """Sign and store a decision.

        Raises:
            Conflict: another decision has this number.
        """
        key = _key(approval.model, approval.version, number)
        content = self._signer.envelope(approval.to_bytes(), PAYLOAD_TYPE).to_bytes()
        self._evidence.write_once(f"{self._bucket_uri}/{key}", content)
        return Decision(key, canonical.sha256(content), approval)


def require_pinned(signer: Signer, pinned: str) -> None:
    """Check that decisions are signed with the approvers' key.

    Raises:
        UsageError: the configuration pins another one.
    """
    if signer.public_key != PublicKey.pinned(pinned).der:
        raise UsageError(
            f"{signer.key_arn} is not the approvers' key that the configuration pins",
            expected=f"key {PublicKey.pinned(pinned).keyid}",
            got=f"key {signer.keyid}",
            do="correct evidence.approval_key_arn or evidence.approval_public_key",
        )


def _folder(model: str, version: int) -> str:
    return f"approvals/{model}/{version}"


def _key(model: str, version: int, number: int) -> str:
    return f"{_folder(model, version)}/{number}.json"
