"""Decisions in the ledger and packages in SageMaker's own registry, for the reconciler's tests.

Nothing here is signed: the reconciler judges by the ledger's documents and closes only.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from steps.governance.documents import ledger, model_package
from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.envelope import Envelope, Signature
from steps.governance.documents.record import Record
from tests.steps.register.support.executions import Execution
from tests.steps.register.support.register_environment import EVIDENCE
from tests.support.package_registry import GROUP, PackageRegistry

IMAGE = "example/server@sha256:" + "9" * 64


@dataclass
class Decisions:
    """The decisions about one registered version, each with its ledger entry."""

    execution: Execution
    record: Record
    keys: list[str]

    def decide(
        self, action: str, alias: str = "champion", *, at: str = "2026-11-28T11:00:00Z"
    ) -> model_package.Decided:
        """Write an approval or a revocation and its entry."""
        model = self.record.model
        number = sum("approvals/" in key for key in self.keys) + 1
        document = f"approvals/{model.name}/{model.version}/{number}.json"
        approval = Approval(
            action=action,  # type: ignore[arg-type]
            model=model.name,
            version=model.version,
            alias=alias,
            record=f"executions/{self.execution.id}/register/record.json",
            record_sha256=self.record.sha256,
            approver="ada",
            aws="arn:aws:sts::1:assumed-role/a/ada",
            group="g",
            reason="it is better",
            decided_at=at,
        )
        content = self.put(document, approval.to_bytes(), PAYLOAD_TYPE)
        listed = self.s3.list_objects_v2(Bucket=EVIDENCE, Prefix="ledger/")["Contents"]
        entry = ledger.Entry(
            number=len(listed) + 1,
            previous_sha256="0" * 64,
            kind="approval" if action == "approve" else "revocation",
            document=document,
            document_sha256=hashlib.sha256(content).hexdigest(),
            appended_at="2026-11-28T11:00:00Z",
        )
        name = f"ledger/{ledger.name(entry.number)}"
        self.put(name, entry.to_bytes(), ledger.PAYLOAD_TYPE)
        return document, approval

    @property
    def s3(self) -> Any:
        return self.execution.environment.client("s3")

    def put(self, key: str, payload: bytes, kind: str) -> bytes:
        content = Envelope.of(payload, kind, Signature(keyid="0" * 64, sig="AA==")).to_bytes()
        self.s3.put_object(Bucket=EVIDENCE, Key=key, Body=content)
        self.keys.append(key)
        return content

    @property
    def registry(self) -> PackageRegistry:
        return self.execution.environment.stub.packages

    def package(self, status: str, reason: str = "", **changed: Any) -> str:
        """Make a package of the version; return its ARN."""
        model = self.record.model
        subject = model_package.subject(
            model.name, version=model.version, record_sha256=self.record.sha256, image=IMAGE
        )
        request = {"ModelPackageGroupName": GROUP, "ModelPackageDescription": subject} | changed
        arn = str(self.registry.call("CreateModelPackage", request, "")["ModelPackageArn"])
        update = {"ModelPackageArn": arn, "ModelApprovalStatus": status}
        self.registry.call("UpdateModelPackage", update | {"ApprovalDescription": reason}, "")
        return arn

    def state(self, arn: str) -> tuple[str, str]:
        """A package's status and reason."""
        found = self.registry.call("DescribeModelPackage", {"ModelPackageName": arn}, "")
        return found["ModelApprovalStatus"], found["ApprovalDescription"]


@contextmanager
def deciding(execution: Execution) -> Iterator[Decisions]:
    """Decisions and packages about a registered execution, removed at the end."""
    s3 = execution.environment.client("s3")
    key = f"executions/{execution.id}/register/record.json"
    content = s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read()
    made = Decisions(execution, Record.from_bytes(content, origin=key), [])
    try:
        yield made
    finally:
        for each in made.keys:
            for version in s3.list_object_versions(Bucket=EVIDENCE, Prefix=each).get(
                "Versions", ()
            ):
                s3.delete_object(Bucket=EVIDENCE, Key=each, VersionId=version["VersionId"])
        for package in made.registry.packages():
            request = {"ModelPackageName": package["ModelPackageArn"]}
            made.registry.call("DeleteModelPackage", request, "")
