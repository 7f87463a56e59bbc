"""What Register signs is accepted by the public verifiers, which are given the public key only."""

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope as PublicEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from steps.governance.documents import canonical
from steps.governance.documents.record import Record
from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    NotFound,
    Unavailable,
    UsageError,
)
from steps.governance.signing import provenance
from steps.governance.signing.kms_signer import Signer
from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.register.support import archives, executions, ledgers
from tests.steps.register.support.deliveries import deliver, raising_unavailable
from tests.steps.register.support.register_environment import REGION, RegisterEnvironment

pytestmark = pytest.mark.environment


@pytest.fixture
def registered(worker: Worker, execution: executions.Execution) -> executions.Execution:
    """An execution whose model is registered."""
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    return execution


def public_envelope(execution: executions.Execution, name: str) -> tuple[PublicEnvelope, SSlibKey]:
    """A stored envelope and the public key, as securesystemslib reads them."""
    document = execution.evidence(name)
    keyid = document["signatures"][0]["keyid"]
    key = SSlibKey.from_crypto(ledgers.public_key(execution.environment), keyid)
    return PublicEnvelope.from_dict(document), key


def test_securesystemslib_accepts_the_records_envelope_and_in_toto_its_statement(
    registered: executions.Execution,
) -> None:
    envelope, key = public_envelope(registered, "record.dsse.json")
    assert envelope.verify([key], 1)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    message = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    statement = json.loads(envelope.payload)
    record = registered.evidence("record.json")
    assert [subject["digest"]["sha256"] for subject in statement["subject"]] == [
        record["artifact"]["sha256"],
        canonical.sha256(registered.evidence_bytes("record.json")),
    ]
    built, run = (statement["predicate"][name] for name in ("buildDefinition", "runDetails"))
    assert built["externalParameters"] == record["execution"]["parameters"]
    assert run["metadata"]["invocationId"] == registered.arn
    found = {each["name"]: each for each in built["resolvedDependencies"]}
    curated = found["curated table: Prepare's manifest"]
    assert curated["annotations"]["version"] == record["curated"]["version"]
    assert curated["digest"]["sha256"] == record["prepare"]["manifest_sha256"]
    assert found["image of Train"]["digest"]["sha256"] in record["train"]["image"]
    # tests/steps/trace/formats/test_leaks.py lists what a statement may contain
    assert envelope.payload == provenance.statement(
        Record.from_bytes(registered.evidence_bytes("record.json"), origin="record.json")
    )


@pytest.mark.parametrize("field", ["payload", "payloadType", "sig"])
def test_securesystemslib_refuses_a_changed_envelope(
    registered: executions.Execution, field: str
) -> None:
    document = registered.evidence("record.dsse.json")
    if field == "sig":
        other = registered.evidence("model.sig")["dsseEnvelope"]["signatures"][0]["sig"]
        document["signatures"][0]["sig"] = other
    elif field == "payload":
        content = base64.b64decode(document["payload"]).replace(b"challenger", b"champions!")
        document["payload"] = base64.b64encode(content).decode()
    else:
        document["payloadType"] += "x"
    _, key = public_envelope(registered, "record.dsse.json")
    with pytest.raises(VerificationError):
        PublicEnvelope.from_dict(document).verify([key], 1)


def verify_model(execution: executions.Execution, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `model_signing verify key` on an adapter's folder, with the stored signature."""
    pem = ledgers.public_key(execution.environment).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    public, signature = folder.with_name("register.pem"), folder.with_name("model.sig")
    public.write_bytes(pem)
    signature.write_bytes(execution.evidence_bytes("model.sig"))
    command = [str(Path(sys.executable).with_name("model_signing")), "verify", "key", str(folder)]
    command += ["--signature", str(signature), "--public_key", str(public)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_model_signing_accepts_the_adapter_and_refuses_a_changed_missing_or_added_file(
    registered: executions.Execution, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    files = archives.adapter_files() | {"manifest.json": registered.trained.to_bytes()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    accepted = verify_model(registered, folder)
    assert accepted.returncode == 0, accepted.stderr
    (folder / "README.md").write_text("another")
    assert verify_model(registered, folder).returncode != 0
    (folder / "README.md").write_bytes(files["README.md"])
    (folder / "more.py").write_text("import os")
    assert verify_model(registered, folder).returncode != 0
    (folder / "more.py").unlink()
    (folder / "tokenizer.json").unlink()
    assert verify_model(registered, folder).returncode != 0


def test_the_registered_version_has_the_signature_that_is_evidence(
    registered: executions.Execution,
) -> None:
    (version,) = registered.versions()
    bucket, _, prefix = str(version.storage_location).removeprefix("s3://").partition("/")
    found = registered.environment.client("s3").get_object(
        Bucket=bucket, Key=f"{prefix}/artifacts/model.sig"
    )["Body"]
    assert found.read() == registered.evidence_bytes("model.sig")


def test_a_repeated_registration_accepts_what_is_signed_and_signs_nothing_again(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setattr(worker.services.answers, "succeed", raising_unavailable)
        execution.send()
        assert deliver(worker) is Fate.GIVE_BACK
    before = {name: execution.evidence_bytes(name) for name in ("record.dsse.json", "model.sig")}
    monkeypatch.setattr(Signer, "envelope", raising_unavailable)
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    assert {name: execution.evidence_bytes(name) for name in before} == before


def test_a_stop_after_the_record_still_signs_and_enters_it(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setattr(Signer, "envelope", fails_for(b"provenance", Signer.envelope))
        execution.send()
        assert deliver(worker) is Fate.GIVE_BACK
    execution.evidence("record.json")
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    (version,) = execution.versions()
    key = f"executions/{execution.id}/register/record.json"
    found = [entry for entry, _ in ledgers.entries(execution.environment) if entry.document == key]
    assert len(found) == 1
    assert "ledger_entry" not in execution.tags(int(version.version or 0))


def fails_for(text: bytes, plain: Any) -> Any:
    """A signer that does not answer for payloads with this text."""

    def envelope(signer: Signer, payload: bytes, payload_type: str) -> Any:
        if text in payload:
            raising_unavailable()
        return plain(signer, payload, payload_type)

    return envelope


ANOTHER = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"


def test_a_worker_does_not_start_without_its_key(
    worker_environment: RegisterEnvironment, execution: executions.Execution
) -> None:
    kms = worker_environment.client("kms")
    symmetric = kms.create_key()["KeyMetadata"]["Arn"]
    hidden = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    other = kms.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    public = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "kms:*",
                "Resource": "*",
            },
        }
    )
    kms.put_key_policy(KeyId=other, PolicyName="default", Policy=public)
    for arn, error in (
        (ANOTHER, (NotFound, AccessDenied)),
        (symmetric, (AccessDenied,)),
        (hidden, (AccessDenied,)),
        (other, (UsageError,)),
    ):
        with pytest.raises(error):
            Worker(parse(execution.argv(**{"signing-key-arn": arn})), threading.Event())


def test_a_disabled_key_is_waited_for(worker: Worker, execution: executions.Execution) -> None:
    kms, key = execution.environment.client("kms"), execution.environment.key_arn
    kms.disable_key(KeyId=key)
    try:
        execution.send()
        assert deliver(worker) is Fate.GIVE_BACK
        assert execution.versions() == []
        with pytest.raises(Unavailable, match="KMS did not: sign with"):
            Signer(REGION, key).envelope(b"x", "text/plain")
    finally:
        kms.enable_key(KeyId=key)
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_foreign_envelope_in_place_of_ours_is_refused(
    worker: Worker, execution: executions.Execution, registered_other: dict[str, bytes]
) -> None:
    key = f"executions/{execution.id}/register/model.sig"
    execution.environment.client("s3").put_object(
        Bucket="gf-evidence", Key=key, Body=registered_other["model.sig"]
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert "model.sig was already signed with other content" in answer["FailureReason"]
    assert execution.versions() == []


@pytest.fixture
def registered_other(environment: RegisterEnvironment, worker: Worker) -> dict[str, bytes]:
    """The signed documents of another model of the same worker."""
    other = executions.new_execution(environment)
    other.send()
    second = Worker(parse(other.argv()), threading.Event())
    assert deliver(second) is Fate.DELETE
    return {"model.sig": other.evidence_bytes("model.sig")}


def test_an_error_of_kms_is_ours(worker_environment: RegisterEnvironment) -> None:
    with pytest.raises(GovernanceError):
        Signer(REGION, ANOTHER).envelope(b"x", "text/plain")
