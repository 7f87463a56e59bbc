"""Registered versions and two approvers, on ministack and the embedded workspace.

approvals = Approvals(environment)
version = approvals.new_version()                 # with record, signature, entry and tags
outcome = approvals.decide(version, "alice")      # runs steps.approve as that person
"""

import base64
import json
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from databricks.sdk.service.iam import ComplexValue

from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO
from steps.governance.documents.ledger import name as entry_name
from steps.governance.documents.record import Record
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.ledger_writer import About, Ledger
from tests.steps.governance.documents.test_record import DOCUMENT
from tests.steps.register.support.register_environment import (
    ACCOUNT,
    EVIDENCE,
    REGION,
    RegisterEnvironment,
)

GROUP, TAG, ALIAS = "model-approvers", "Approval", "champion"
PEOPLE = ("alice", "bob", "mallory")  # mallory is not a member
BUILD = {"git_commit": "a" * 40, "clean": True, "lock_sha256": "b" * 64}
_REGISTRY = "/api/2.0/mlflow/unity-catalog"


@dataclass(frozen=True)
class Version:
    """One registered version and its execution's evidence."""

    model: str
    number: int
    execution: str
    record: Record

    @property
    def folder(self) -> str:
        return f"executions/{self.execution}/register"


@dataclass
class Approvals:
    """The environment with keys, people and versions."""

    environment: RegisterEnvironment
    keys: dict[str, str] = field(default_factory=dict)
    people: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    ids: dict[str, str] = field(default_factory=dict)

    def set_up(self) -> None:
        """Make two keys, and three people with the rights of the stack's role `approver`."""
        kms = self.environment.client("kms")
        for key in ("register", "approval"):
            made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
            self.keys[key] = made["KeyMetadata"]["Arn"]
        group = self.admin.groups.create(display_name=GROUP)
        members = []
        for person in PEOPLE:
            self.people[person] = self._aws_user(person)
            self.ids[person], principal_id = self._principal(person)
            if person != "mallory":
                members.append(ComplexValue(value=principal_id))
        self.admin.groups.delete(group.id)
        self.admin.groups.create(display_name=GROUP, members=members)

    @cached_property
    def admin(self) -> Any:
        return self.environment.admin()

    def argv(self, version: Version, person: str, **changed: str) -> list[str]:
        """The command line of steps.approve as one person."""
        kms = self.environment.client("kms")
        public = {
            key: encoded(kms.get_public_key(KeyId=arn)["PublicKey"])
            for key, arn in self.keys.items()
        }
        settings = {
            "model": f"{version.model}@{version.number}",
            "alias": ALIAS,
            "reason": "it is better",
            "evidence-uri": f"s3://{EVIDENCE}/executions",
            "signing-public-key": public["register"],
            "approval-key-arn": self.keys["approval"],
            "approval-public-key": public["approval"],
            "approvers-group": GROUP,
            "approval-tag": TAG,
            "run-aliases": "challenger,candidate",
            "databricks-host": self.environment.host,
            "databricks-secret-id": f"gf/databricks/{person}",
            "region": REGION,
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def variables(self, person: str) -> dict[str, str]:
        """A person's environment variables."""
        return self.environment.variables() | self.people[person]

    def new_version(self, model: str = "", **execution: Any) -> Version:
        """Make a READY version with record, signature, entry and tags, as Register does."""
        model = model or f"edgar.models.m{secrets.token_hex(4)}"
        number = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/test/execution/{number}"
        version = self._ready_version(model)
        record = record_of(model, version, arn, self.ledger.head().model_dump(), **execution)
        self.put(f"executions/{number}/register/record.json", record.to_bytes())
        made = Version(model, version, number, record)
        self.sign(made, record.sha256)
        key = f"{made.folder}/record.json"
        assert record.ledger is not None
        entry = self.ledger.append(
            record.ledger, About("registration", key, record.sha256), lambda: None
        )
        for tag, value in (
            ("execution_arn", arn),
            ("record_sha256", record.sha256),
            ("ledger_entry", entry.tag),
        ):
            self.tag(made, tag, value)
        return made

    def sign(self, version: Version, sha256: str) -> None:
        """Write the signed statement about a record."""
        subject = [{"name": "record.json", "digest": {"sha256": sha256}}]
        payload = canonical.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": subject})
        envelope = self.signer.envelope(payload, IN_TOTO)
        self.put(f"{version.folder}/record.dsse.json", envelope.to_bytes())

    @cached_property
    def signer(self) -> Signer:
        """The register worker's signer, as root."""
        return Signer(REGION, self.keys["register"])

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger as the register worker writes it."""
        return Ledger(REGION, f"s3://{EVIDENCE}/ledger", self.signer, signs={"registration"})

    def put(self, key: str, content: bytes) -> None:
        self.environment.client("s3").put_object(Bucket=EVIDENCE, Key=key, Body=content)

    def tag(self, version: Version, key: str, value: str) -> None:
        body = {"name": version.model, "version": str(version.number), "key": key, "value": value}
        self._registry("POST", "model-versions/set-tag", body=body)

    def tags(self, version: Version) -> dict[str, str]:
        query = {"name": version.model, "version": str(version.number)}
        found = self._registry("GET", "model-versions/get", query=query)["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}

    def alias(self, model: str, alias: str = ALIAS) -> int | None:
        found = self._registry("GET", "registered-models/get", query={"name": model})
        entries = found["registered_model"].get("aliases", [])
        return next((int(one["version"]) for one in entries if one["alias"] == alias), None)

    def documents(self, version: Version) -> list[str]:
        return self.keys_below(f"approvals/{version.model}/{version.number}/")

    def keys_below(self, prefix: str) -> list[str]:
        answer = self.environment.client("s3").list_objects_v2(Bucket=EVIDENCE, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", [])]

    def entries(self, version: Version) -> list[str]:
        """The kinds of the ledger's entries about a version's decisions, in their order."""
        s3, kinds, number = self.environment.client("s3"), [], 1
        keys = self.keys_below("ledger/")
        while f"ledger/{entry_name(number)}" in keys:
            body = s3.get_object(Bucket=EVIDENCE, Key=f"ledger/{entry_name(number)}")["Body"]
            entry = json.loads(_payload(json.load(body)))
            if entry["document"].startswith(f"approvals/{version.model}/{version.number}/"):
                kinds.append(entry["kind"])
            number += 1
        return kinds

    def packages(self, version: Version) -> list[dict[str, Any]]:
        """The packages of a version in SageMaker's own registry."""
        beginning = f"{version.model}@{version.number}, record {version.record.sha256}, "
        found = self.environment.stub.packages.packages()
        return [each for each in found if each["ModelPackageDescription"].startswith(beginning)]

    def _ready_version(self, model: str) -> int:
        schema, _, short = model.rpartition(".")
        if model not in [each.full_name for each in self.admin.registered_models.list()]:
            self.admin.registered_models.create(
                catalog_name="edgar", schema_name=schema.partition(".")[2], name=short
            )
        made = self._registry(
            "POST", "model-versions/create", body={"name": model, "source": "s3://x/model.tar.gz"}
        )["model_version"]
        body = {"name": model, "version": str(made["version"])}
        self._registry("POST", "model-versions/finalize", body=body)
        return int(made["version"])

    def _registry(self, method: str, path: str, **content: Any) -> Any:
        return self.admin.api_client.do(method, f"{_REGISTRY}/{path}", **content)

    def _principal(self, person: str) -> tuple[str, str]:
        made = self.admin.service_principals.create(display_name=person)
        secret = self.admin.service_principal_secrets_proxy.create(str(made.id)).secret
        value = {"clientId": made.application_id, "clientSecret": secret}
        self.environment.client("secretsmanager").create_secret(
            Name=f"gf/databricks/{person}", SecretString=json.dumps(value)
        )
        rights = ("USE_SCHEMA", "EXECUTE", "APPLY_TAG", "MANAGE")
        change = self.environment.change_grant
        change("CATALOG", "edgar", str(made.application_id), "add", "USE_CATALOG")
        change("SCHEMA", "edgar.models", str(made.application_id), "add", *rights)
        return str(made.application_id), str(made.id)

    def _aws_user(self, person: str) -> dict[str, str]:
        """A user with what the stack's role `approver` may, and the key's policy allows."""
        iam = self.environment.client("iam")
        iam.create_user(UserName=person)
        bucket = f"arn:aws:s3:::{EVIDENCE}"
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:gf/databricks/{person}-*"
        allowed = {
            "secretsmanager:GetSecretValue": [secret],
            "s3:GetObject": [
                f"{bucket}/{name}/*" for name in ("executions", "ledger", "approvals")
            ],
            "s3:PutObject": [f"{bucket}/{name}/*" for name in ("ledger", "approvals")],
            "s3:ListBucket": [bucket],
            "kms:Sign": [self.keys["approval"]],
            "kms:GetPublicKey": [self.keys["approval"]],
        }
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resources}
            for action, resources in allowed.items()
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=person, PolicyName="approver", PolicyDocument=policy)
        key = iam.create_access_key(UserName=person)["AccessKey"]
        self.environment.stub.packages.users[key["AccessKeyId"]] = person
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }


def record_of(model: str, version: int, arn: str, ledger: Any, **execution: Any) -> Record:
    """A record of version 2."""
    document = json.loads(json.dumps(DOCUMENT))
    document["schema"] = "governed-finetune/registered/2"
    document["execution"] |= {"arn": arn, "started_by": {"arn": "arn:aws:iam::1:user/carol"}}
    document["execution"] |= execution
    document["prepare"] |= {
        "image": "prepare@sha256:" + "c" * 64,
        "spark_version": "4.0.0",
        "build": BUILD,
        "billed": {"seconds": 1},
    }
    document["train"] |= {"build": BUILD, "billed": {"seconds": 1}}
    document["model"] |= {"name": model, "version": version}
    document |= {
        "register": {"image": "register@sha256:" + "d" * 64, "build": BUILD},
        "readings": [],
        "membership": {"path": "membership.parquet", "size": 1, "sha256": "e" * 64},
        "ledger": ledger,
    }
    return Record.from_bytes(canonical.dumps(document), origin="test")


def encoded(content: bytes) -> str:
    """Base64 as conf has it."""
    return base64.b64encode(content).decode()


def _payload(envelope: dict[str, str]) -> bytes:
    return base64.b64decode(envelope["payload"])
