"""A whole history on local servers, made without training, and the audit of it.

    world = World(environment)
    entry = world.register("edgar.models.analyst")     # everything that Register leaves behind
    world.audit(target=entry)                          # the auditor's lines

ministack has the buckets, the embedded workspace has Unity Catalog, and a stub has SageMaker and
EMR Serverless. Signatures are made with keys of this process.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from steps.audit.arguments import Arguments, Target
from steps.audit.audit import audit
from steps.audit.context import Context, Services
from steps.audit.findings import Finding, Outcome
from steps.audit.services.catalog import Registry
from steps.audit.services.jobs import Jobs
from steps.audit.services.packages import Packages
from steps.audit.services.store import Store
from steps.governance.documents import ledger
from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.document import FileEntry
from steps.governance.documents.envelope import Envelope, Signature, signed_bytes
from steps.governance.documents.record import Record
from steps.governance.unity_catalog.identity import connect
from tests.steps.register.support.policies import allow
from tests.steps.register.support.register_environment import (
    EVIDENCE,
    GOVERNED,
    PIPELINE,
    REGION,
    RegisterEnvironment,
    _user,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
RETENTION_DAYS = 7
AUDITOR_SECRET = "gf/databricks/auditor"


class Signer:
    """A P-256 key of this process, in place of a KMS key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def der(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def envelope(self, payload: bytes, kind: str) -> bytes:
        made = self._key.sign(signed_bytes(payload, kind), ec.ECDSA(hashes.SHA256()))
        signature = Signature(
            keyid=hashlib.sha256(self.der).hexdigest(), sig=base64.b64encode(made).decode()
        )
        return Envelope.of(payload, kind, signature).to_bytes()


@dataclass
class Entry:
    """One registered version: its execution, record and the S3 keys of its evidence."""

    arn: str
    record: Record
    folder: str
    location: str  # of the version's files
    raw_paths: list[str]
    curated_paths: list[str]
    base_prefix: str
    published: str = ""  # the ledger's entry, as the version's tag has it

    @property
    def target(self) -> Target:
        return Target(self.record.model.name, version=self.record.model.version)

    def key(self, name: str) -> str:
        return f"{self.folder}/{name}"


@dataclass
class World:
    """The running servers, both signing keys and everything that was registered."""

    environment: RegisterEnvironment
    signing: Signer = field(default_factory=Signer)
    approving: Signer = field(default_factory=Signer)
    entries: list[Entry] = field(default_factory=list)
    numbers: int = 0  # of the ledger
    head: str = ledger.FIRST_PREVIOUS
    decided: int = 0  # the number of the last approval or revocation
    auditor: dict[str, str] = field(default_factory=dict, repr=False)
    versions_of_raw: int = 0
    commits: int = 0
    held: dict[str, dict[str, int]] = field(default_factory=dict)  # aliases by model
    raw_files: list[FileEntry] = field(default_factory=list)  # of the raw table's newest version
    base_files: dict[str, str] = field(default_factory=dict)  # the base model in Train's manifest

    @property
    def s3(self) -> Any:
        return self.environment.client("s3")

    def settings(self, **changed: Any) -> Arguments:
        settings: dict[str, Any] = {
            "evidence_uri": f"s3://{EVIDENCE}/executions",
            "signing_public_key": base64.b64encode(self.signing.der).decode(),
            "approval_public_key": base64.b64encode(self.approving.der).decode(),
            "pipeline_name": PIPELINE,
            "model_name": self.entries[0].record.model.name,
            "databricks_host": self.environment.host,
            "databricks_secret_id": AUDITOR_SECRET,
            "region": REGION,
            "retention_days": RETENTION_DAYS,
            "object_lock_days": 1,
        }
        return Arguments(**(settings | changed))

    def audit(self, *, days: float = 0.0, **changed: Any) -> list[Finding]:
        """Audit as the auditor's role and principal, `days` after the history."""
        arguments = self.settings(**changed)
        workspace = connect(
            host=arguments.databricks_host,
            secret_id=arguments.databricks_secret_id,
            region=REGION,
        )
        group = arguments.model_package_group
        services = Services(
            Store.connect(REGION),
            Jobs(REGION),
            Registry(workspace, REGION),
            None if group is None else Packages(REGION, group),
        )
        return audit(Context(arguments, services, lambda: NOW + timedelta(days=days)))

    # Evidence

    def put(self, key: str, content: bytes, bucket: str = EVIDENCE) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)

    def read(self, key: str, bucket: str = EVIDENCE) -> bytes:
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def erase(self, key: str, bucket: str = EVIDENCE) -> None:
        """Remove every version of a key, as an administrator without a lock could."""
        answer = self.s3.list_object_versions(Bucket=bucket, Prefix=key)
        listed = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
        for each in listed:
            if each["Key"] == key:
                self.s3.delete_object(
                    Bucket=bucket,
                    Key=key,
                    VersionId=each["VersionId"],
                    BypassGovernanceRetention=True,
                )

    def replace(self, key: str, content: bytes, bucket: str = EVIDENCE) -> None:
        """Replace a key without a trace in its versions."""
        if bucket == GOVERNED:
            self.put(key, content, bucket)
            return
        self.erase(key, bucket)
        self.put(key, content, bucket)

    def append(self, kind: ledger.Kind, document: str, content: bytes, signer: Signer) -> str:
        """Append an entry to the ledger; return what the version's tag publishes."""
        self.numbers += 1
        entry = ledger.Entry(
            number=self.numbers,
            previous_sha256=self.head,
            kind=kind,
            document=document,
            document_sha256=hashlib.sha256(content).hexdigest(),
            appended_at="2026-11-28T10:00:00Z",
        )
        stored = signer.envelope(entry.to_bytes(), ledger.PAYLOAD_TYPE)
        self.put(f"ledger/{ledger.name(self.numbers)}", stored)
        self.head = hashlib.sha256(stored).hexdigest()
        return f"{self.numbers}:{self.head}"

    # Approvals

    def decide(self, entry: Entry, alias: str, *, revoke: bool = False) -> str:
        """Approve a version for an alias, or revoke it; return the approval's key."""
        model = entry.record.model
        prefix = f"approvals/{model.name}/{model.version}"
        listed = self.s3.list_objects_v2(Bucket=EVIDENCE, Prefix=f"{prefix}/")
        record = self.read(entry.key("register/record.json"))
        held = self.held.setdefault(model.name, {})
        approval = Approval(
            action="revoke" if revoke else "approve",
            model=model.name,
            version=model.version,
            alias=alias,
            record=entry.key("register/record.json"),
            record_sha256=hashlib.sha256(record).hexdigest(),
            approver="ada@example.com",
            aws="arn:aws:sts::000000000000:assumed-role/approver/ada",
            group="model-approvers",
            reason="the loss is lower",
            decided_at="2026-11-28T11:00:00Z",
            replaced_version=held.get(f"{alias} before" if revoke else alias),
        )
        key = f"{prefix}/{listed['KeyCount'] + 1}.json"
        content = self.approving.envelope(approval.to_bytes(), PAYLOAD_TYPE)
        self.put(key, content)
        self.append("revocation" if revoke else "approval", key, content, self.approving)
        self.decided = self.numbers
        if revoke:
            before = held.pop(f"{alias} before", None)
            held.pop(alias, None)
            if before is None:
                self.unset_alias(model.name, alias)
            else:
                self.set_alias(model.name, alias, before)
        else:
            held.pop(f"{alias} before", None)
            if alias in held:
                held[f"{alias} before"] = held[alias]
            self.set_alias(model.name, alias, model.version)
        return key

    def set_alias(self, model: str, alias: str, version: int) -> None:
        self.held.setdefault(model, {})[alias] = version
        self.uc("PUT", f"models/{model}/aliases/{alias}", {"version_num": version})

    def unset_alias(self, model: str, alias: str) -> None:
        self.held.setdefault(model, {}).pop(alias, None)
        self.uc("DELETE", f"models/{model}/aliases/{alias}")

    def new_model(self, name: str) -> None:
        """Create a model if it does not exist."""
        catalog, schema, short = name.split(".")
        known = self.uc("GET", f"models?catalog_name={catalog}&schema_name={schema}")
        if short not in [each["name"] for each in known.get("registered_models", [])]:
            self.uc(
                "POST",
                "models",
                {"catalog_name": catalog, "schema_name": schema, "name": short},
            )

    def uc(self, method: str, path: str, body: Any = None) -> Any:
        return self.environment.admin().api_client.do(
            method, f"/api/2.1/unity-catalog/{path}", body=body
        )

    def registry(self, path: str, body: dict[str, Any]) -> Any:
        return self.environment.admin().api_client.do(
            "POST", f"/api/2.0/mlflow/unity-catalog/{path}", body=body
        )

    def tags(self, model: str, version: int) -> dict[str, str]:
        found = self.environment.admin().api_client.do(
            "GET",
            "/api/2.0/mlflow/unity-catalog/model-versions/get",
            query={"name": model, "version": str(version)},
        )
        return {each["key"]: each["value"] for each in found["model_version"]["tags"]}

    def aliases(self, model: str) -> dict[str, int]:
        found = self.uc("GET", f"models/{model}")["aliases"]
        return {each["alias_name"]: int(each["version_num"]) for each in found}

    def tag(self, entry: Entry, key: str, value: str) -> None:
        model = entry.record.model
        self.registry(
            "model-versions/set-tag",
            {"name": model.name, "version": str(model.version), "key": key, "value": value},
        )

    def untag(self, entry: Entry, key: str) -> None:
        model = entry.record.model
        self.environment.admin().api_client.do(
            "DELETE",
            "/api/2.0/mlflow/unity-catalog/model-versions/delete-tag",
            body={"name": model.name, "version": str(model.version), "key": key},
        )


def codes(findings: list[Finding], outcome: Outcome = Outcome.MISMATCH) -> set[str]:
    """The codes of the lines with an outcome."""
    return {finding.code for finding in findings if finding.outcome is outcome}


def prepared_world(environment: RegisterEnvironment) -> World:
    """A world without records: the auditor's role, principal and secret, and the object lock."""
    world = World(environment)
    world.auditor = _user(environment, "auditor", *auditor_rights())
    environment.client("s3").put_object_lock_configuration(
        Bucket=EVIDENCE,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    admin = environment.admin()
    made = admin.service_principals.create(display_name="auditor")
    secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
    principal = str(made.application_id)
    environment.client("secretsmanager").create_secret(
        Name=AUDITOR_SECRET,
        SecretString=json.dumps({"clientId": principal, "clientSecret": secret}),
    )
    for kind, name, *privileges in (
        ("CATALOG", "edgar", "USE_CATALOG"),
        ("SCHEMA", "edgar.raw", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
        ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
        ("SCHEMA", "edgar.models", "USE_SCHEMA", "EXECUTE"),
    ):
        environment.change_grant(kind, name, principal, "add", *privileges)
    return world


def auditor_rights() -> list[dict[str, Any]]:
    """The rights of the auditor role in conf/infrastructure."""
    return [
        allow(["secretsmanager:GetSecretValue"], "*"),
        allow(
            ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"],
            f"arn:aws:s3:::{EVIDENCE}/*",
            "arn:aws:s3:::gf-artifacts/*",
        ),
        allow(
            ["s3:ListBucket", "s3:ListBucketVersions"],
            f"arn:aws:s3:::{EVIDENCE}",
            "arn:aws:s3:::gf-artifacts",
        ),
        allow(
            ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning"],
            f"arn:aws:s3:::{EVIDENCE}",
        ),
    ]
