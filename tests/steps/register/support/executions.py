"""Executions whose Register step waits: Prepare and Train are done, no message is sent yet.

execution = new_execution(environment)
execution.send()
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from databricks.sdk.errors import NotFound
from databricks.sdk.service import catalog as uc

from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO
from steps.governance.documents.manifest import Prepared, Trained
from tests.steps.register.support import archives, ledgers, manifests
from tests.steps.register.support.execution_state import (
    execution_state,
    prepare_job,
    training_job,
)
from tests.steps.register.support.register_environment import (
    ACCOUNT,
    ARTIFACTS,
    EVIDENCE,
    GOVERNED,
    MAX_RECEIVES,
    PIPELINE,
    REGION,
    RegisterEnvironment,
    random_name,
)


@dataclass
class Execution:
    """One execution whose Register step waits, and what a test may change or read."""

    environment: RegisterEnvironment
    arn: str
    model: str
    token: str
    prepared: Prepared
    trained: Trained
    artifact_key: str
    queue_url: str
    dead_letters_url: str

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def state(self) -> dict[str, Any]:
        """The stub's answers about this execution."""
        return self.environment.stub.executions[self.arn]

    @property
    def step(self) -> dict[str, Any]:
        """The callback step."""
        return self.state["callback"]

    def body(self, **changed: Any) -> str:
        message = {"token": self.token, "pipelineExecutionArn": self.arn, "arguments": {}} | changed
        return json.dumps({name: value for name, value in message.items() if value is not None})

    def send(self, body: str | None = None) -> None:
        self.environment.client("sqs").send_message(
            QueueUrl=self.queue_url, MessageBody=body or self.body()
        )

    def answers(self) -> list[dict[str, Any]]:
        return [
            answer
            for answer in self.environment.stub.answers
            if answer["CallbackToken"] == self.token
        ]

    def argv(self, **changed: str) -> list[str]:
        """The command line of a worker on this execution's own queue."""
        return self.environment.argv(self.queue_url, **changed)

    def waiting(self, queue_url: str | None = None) -> int:
        """Messages in a queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.environment.client("sqs")
        answer = sqs.get_queue_attributes(
            QueueUrl=queue_url or self.queue_url, AttributeNames=names
        )
        return sum(int(answer["Attributes"][name]) for name in names)

    def allow_receives(self, most: int) -> None:
        """Set the queue's maxReceiveCount."""
        sqs = self.environment.client("sqs")
        target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:register-{self.id}-dead"
        redrive = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": most})
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"RedrivePolicy": redrive})

    def versions(self) -> list[uc.ModelVersionInfo]:
        """The model's versions, as an administrator sees them."""
        try:
            return list(self.environment.admin().model_versions.list(self.model))
        except NotFound:
            return []

    def check_settled(self) -> None:
        """Check: registered, the step has succeeded, and no message is left."""
        self.check_registered()
        assert self.step["StepStatus"] == "Succeeded"
        assert self.waiting() == 0

    def check_registered(self) -> None:
        """Check: one READY version with alias, two nodes, four edges, one answer: Success."""
        (version,) = self.versions()
        assert version.status is uc.ModelVersionInfoStatus.READY
        admin = self.environment.admin()
        record = self.evidence("record.json")
        assert record["model"]["version"] == version.version
        by_alias = admin.model_versions.get_by_alias(self.model, "challenger")
        assert by_alias.version == version.version
        for node in record["lineage"]["nodes"]:
            name = node.removeprefix("job:")
            listed = [entry.name for entry in admin.external_metadata.list_external_metadata()]
            assert listed.count(name) == 1
            for direction in (uc.LineageDirection.UPSTREAM, uc.LineageDirection.DOWNSTREAM):
                end = uc.ExternalLineageObject(
                    external_metadata=uc.ExternalLineageExternalMetadata(name)
                )
                edges = list(
                    admin.external_lineage.list_external_lineage_relationships(end, direction)
                )
                assert len(edges) == 1, (node, direction, edges)
        self.check_signed(version)
        self.check_files(version)
        answers = {(answer["status"], answer["ClientRequestToken"]) for answer in self.answers()}
        assert answers == {("Succeeded", record["key"])}

    def check_signed(self, version: uc.ModelVersionInfo) -> None:
        """Check: the record's statement is stored, and the ledger has one entry of the record."""
        key = f"executions/{self.id}/register/record.json"
        found = ledgers.entries(self.environment)
        own = [(entry, sha256) for entry, sha256 in found if entry.document == key]
        ((entry, sha256),) = own
        record = self.evidence_bytes("record.json")
        assert entry.document_sha256 == canonical.sha256(record)
        assert self.evidence("record.dsse.json")["payloadType"] == IN_TOTO
        assert self.tags(int(version.version or 0))["ledger_entry"] == f"{entry.number}:{sha256}"

    def check_files(self, version: uc.ModelVersionInfo) -> None:
        """Check: the record has the digest of each stored file but the adapter's."""
        s3, prefix = self.environment.client("s3"), _key(str(version.storage_location))
        listed = s3.list_objects_v2(Bucket=GOVERNED, Prefix=f"{prefix}/")["Contents"]
        stored = {each["Key"].removeprefix(f"{prefix}/"): each["Key"] for each in listed}
        found = {
            name: canonical.sha256(s3.get_object(Bucket=GOVERNED, Key=key)["Body"].read())
            for name, key in stored.items()
            if not name.startswith("artifacts/adapter/") and name != "artifacts/model.sig"
        }
        assert {"MLmodel", "serving.py", "requirements.txt"} < found.keys()
        assert self.evidence("record.json")["model"]["files"] == found

    def check_dead_lettered(self) -> None:
        """The queue delivers the message no more: it is in the dead-letter queue."""
        sqs = self.environment.client("sqs")
        answer = sqs.receive_message(QueueUrl=self.queue_url, WaitTimeSeconds=1)
        assert not answer.get("Messages")
        assert self.waiting(self.dead_letters_url) == 1

    def replace_artifact(self, content: bytes) -> None:
        self.environment.client("s3").put_object(
            Bucket=ARTIFACTS, Key=self.artifact_key, Body=content
        )

    def evidence(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.evidence_bytes(name))
        return found

    def evidence_bytes(self, name: str) -> bytes:
        key = f"executions/{self.id}/register/{name}"
        body = self.environment.client("s3").get_object(Bucket=EVIDENCE, Key=key)["Body"]
        return bytes(body.read())

    def tags(self, number: int) -> dict[str, str]:
        """The tags of one of the model's versions."""
        found = self.environment.admin().api_client.do(
            "GET", f"/api/2.1/unity-catalog/models/{self.model}/versions/{number}"
        )
        return {tag["key"]: tag["value"] for tag in found["tags"]}


def new_execution(
    environment: RegisterEnvironment,
    files: dict[str, bytes] | None = None,
    *,
    base: dict[str, bytes] | None = None,
) -> Execution:
    """An execution with jobs, manifests and archive, whose callback waits."""
    number = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    pipeline_arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PIPELINE}"
    arn = f"{pipeline_arn}/execution/{number}"
    files = files or archives.adapter_files()
    base_uri, mirror_sha256 = _put_base_model(environment, base or archives.base_files())
    prepared = manifests.prepared(arn)
    trained = manifests.trained(arn, f"pipelines-{number}-Train", prepared, files, mirror_sha256)
    s3 = environment.client("s3")
    for step, manifest in (("prepare", prepared), (f"train/{trained.training_job}", trained)):
        key = f"executions/{number}/{step}/manifest.json"
        s3.put_object(Bucket=EVIDENCE, Key=key, Body=manifest.to_bytes(), IfNoneMatch="*")
    artifact_key = f"executions/{number}/output/model.tar.gz"
    s3.put_object(
        Bucket=ARTIFACTS,
        Key=artifact_key,
        Body=archives.packed(files | {"manifest.json": trained.to_bytes()}),
    )
    queue_url, dead_letters_url = _new_queue(environment, number)
    model, token = f"edgar.models.{random_name()}", secrets.token_hex(5)
    job = trained.training_job
    environment.stub.executions[arn] = execution_state(arn, model, callback=(token, queue_url)) | {
        "prepare_job": prepare_job(arn),
        "training_job": training_job(arn, job, artifact_key=artifact_key, base_uri=base_uri),
    }
    return Execution(
        environment, arn, model, token, prepared, trained, artifact_key, queue_url, dead_letters_url
    )


def _key(uri: str) -> str:
    return uri.removeprefix(f"s3://{GOVERNED}/").rstrip("/")


def _put_base_model(environment: RegisterEnvironment, files: dict[str, bytes]) -> tuple[str, str]:
    mirror = {
        "name": "tiny",
        "revision": "0" * 40,
        "files": [entry.model_dump(exclude_none=True) for entry in archives.entries(files)],
    }
    content = json.dumps(mirror).encode()
    prefix = f"base-models/tiny/{archives.entries({'m': content})[0].sha256[:40]}"
    for name, body in (files | {"mirror.json": content}).items():
        environment.client("s3").put_object(Bucket=ARTIFACTS, Key=f"{prefix}/{name}", Body=body)
    return f"s3://{ARTIFACTS}/{prefix}/", archives.entries({"m": content})[0].sha256


def _new_queue(environment: RegisterEnvironment, number: str) -> tuple[str, str]:
    """Each execution has its own queue, so that tests do not take each other's messages."""
    sqs = environment.client("sqs")
    dead_letters_url = sqs.create_queue(QueueName=f"register-{number}-dead")["QueueUrl"]
    target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:register-{number}-dead"
    redrive = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": MAX_RECEIVES})
    return sqs.create_queue(QueueName=f"register-{number}", Attributes={"RedrivePolicy": redrive})[
        "QueueUrl"
    ], dead_letters_url
