"""One message becomes one registered model, or one clear refusal; whatever is repeated, lost or forbidden."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from databricks.sdk.errors import NotFound

from steps.governance.errors import AccessDenied, Unavailable
from steps.governance.identity import connect
from steps.governance.lineage import Lineage, model_version
from steps.governance.names import UcName
from steps.register import register
from steps.register.arguments import parse
from steps.register.delivery.lease import Lease
from steps.register.lambda_function import handler
from steps.register.model_registry.registry import Registry
from steps.register.worker import Fate, Worker
from tests.steps.register.support import archives, executions
from tests.steps.register.support import register_environment as beds

pytestmark = pytest.mark.environment


@pytest.fixture
def worker(worker_environment: beds.Bed, execution: executions.Execution) -> Worker:
    return Worker(parse(execution.argv()), threading.Event())


def deliver(worker: Worker, wait_seconds: float = 10) -> Fate:
    """Wait for one message and handle it."""
    deadline = time.monotonic() + wait_seconds
    while (delivery := worker.queue.receive()) is None:
        assert time.monotonic() < deadline, "no message came"
    return worker.handle(delivery)


def deliver_until_deleted(worker: Worker, most: int) -> int:
    """How many deliveries it took."""
    for number in range(1, most + 1):
        if deliver(worker) is Fate.DELETE:
            return number
    raise AssertionError(f"not deleted after {most} deliveries")


def refused_with(execution: executions.Execution) -> str:
    """The one reason the pipeline was told; nothing was registered."""
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert not [v for v in execution.versions() if str(v.status).endswith("READY")]
    return str(answer["FailureReason"])


def test_a_callback_ends_in_one_version_with_alias_tags_record_and_lineage(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    record = execution.evidence("record.json")
    assert {
        name: record["execution"]["parameters"][name] for name in ("ModelName", "MaxEvalLoss")
    } == {
        "ModelName": execution.model,
        "MaxEvalLoss": "2.5",
    }
    assert record["principals"]["databricks"] == execution.bed.principal
    tags = execution.bed.admin().api_client.do(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/get",
        query={"name": execution.model, "version": "1"},
    )["model_version"]["tags"]
    assert {"key": "mlflow_run_id", "value": "0123456789abcdef"} in tags, (
        "a reader of the registry finds the curves"
    )
    told = {
        tag["key"].removeprefix("fp8_"): tag["value"]
        for tag in tags
        if tag["key"].startswith("fp8_")
    }
    assert (
        told
        == record["fp8"]
        == {"requested": "auto", "effective": "storage", "dtype": "bfloat16", "device": "cpu"}
    )


def test_lineage_walks_from_the_model_back_to_the_raw_table(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    deliver(worker)
    workspace = connect(host=execution.bed.host, secret_id=beds.SECRET_ID, region=beds.REGION)
    walked = list(Lineage(workspace).walk_upstream(model_version(UcName.parse(execution.model), 1)))
    record = execution.evidence("record.json")
    path = [
        (edge.source, edge.target)
        for edge in walked
        if edge.source in dict(map(tuple, record["lineage"]["edges"]))
    ]
    assert set(path) >= {tuple(edge) for edge in record["lineage"]["edges"]}
    assert walked[0].target == f"model_version:{execution.model}/1"
    assert f"table:{beds.RAW}" in {edge.source for edge in walked}


def test_objects_that_everybody_may_read_hold_digests_and_ids_only(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.send()
    deliver(worker)
    admin = execution.bed.admin()
    for node in execution.evidence("record.json")["lineage"]["nodes"]:
        text = json.dumps(
            admin.external_metadata.get_external_metadata(node.removeprefix("job:")).as_dict()
        )
        for secret in ("s3://", beds.RAW, beds.CURATED, execution.model, "arn:", "hyperparameters"):
            assert secret not in text


def test_three_deliveries_of_one_message_have_one_effect(
    worker: Worker, execution: executions.Execution
) -> None:
    for _ in range(3):
        execution.send()
    assert [deliver(worker) for _ in range(3)] == [Fate.DELETE] * 3
    execution.check_settled()
    assert len(execution.answers()) == 1


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        *((path, {"drop": "after"}) for path in (
            "registered-models/create$", "model-versions/create$", "generate-temporary-credentials$",
            "model-versions/finalize$", "model-versions/set-tag$", "registered-models/alias$",
            "external-metadata$", "external-lineage$",
        )),
        ("model-versions/create$", {"drop": "before"}),
        ("model-versions/create$", {"status": 503}),
        ("model-versions/finalize$", {"status": 500}),
        ("external-lineage$", {"status": 429, "headers": {"Retry-After": "1"}}),
        ("external-metadata$", {"status": 503}),
    ],
)  # fmt: skip
def test_a_lost_or_refused_answer_of_the_workspace_leaves_one_of_everything(
    worker: Worker, execution: executions.Execution, path: str, fault: dict[str, Any]
) -> None:
    execution.bed.faults({"method": "POST", "path": path, "times": 1} | fault)
    execution.send()
    assert deliver_until_deleted(worker, most=2) <= 2
    assert execution.bed.faults_left() == 0
    execution.check_settled()


def test_a_lost_answer_to_the_answer_is_repeated_with_the_same_token(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.bed.stub.lose.append("SendPipelineExecutionStepSuccess")
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert len(execution.answers()) == 2
    execution.check_settled()


def test_an_archive_that_was_replaced_after_training_is_not_registered(
    worker: Worker, execution: executions.Execution
) -> None:
    files = archives.adapter_files() | {"README.md": b"# another\n"}
    execution.replace_artifact(
        archives.packed(files | {"manifest.json": execution.trained.to_bytes()})
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "not the one that Train described" in refused_with(execution)


def test_of_two_training_jobs_the_one_that_sagemaker_names_is_registered(
    worker: Worker, execution: executions.Execution
) -> None:
    """Train was run again after a first job had written its manifest and was lost."""
    lost = execution.trained.model_copy(
        update={"training_job": "pipelines-lost-Train", "files": []}
    )
    for name in ("train/manifest.json", f"train/{lost.training_job}/manifest.json"):
        key = f"executions/{execution.id}/{name}"
        execution.bed.client("s3").put_object(Bucket=beds.EVIDENCE, Key=key, Body=lost.to_bytes())
    execution.send()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()
    assert execution.evidence("record.json")["train"]["manifest_sha256"] == execution.trained.sha256


def test_an_archive_replaced_after_it_was_pinned_changes_nothing(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.bed.faults(
        {"method": "POST", "path": "model-versions/create$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    execution.replace_artifact(b"something else")
    execution.bed.faults()
    assert deliver(worker) is Fate.DELETE
    execution.check_settled()


def test_a_mirror_that_changed_after_training_is_refused(
    worker: Worker, execution: executions.Execution
) -> None:
    uri = execution.state["training_job"]["InputDataConfig"][0]["DataSource"]["S3DataSource"][
        "S3Uri"
    ]
    key = uri.removeprefix(f"s3://{beds.ARTIFACTS}/") + "mirror.json"
    execution.bed.client("s3").put_object(Bucket=beds.ARTIFACTS, Key=key, Body=b'{"name": "x"}')
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert "changed after training" in refused_with(execution)


def _job(name: str, value: object) -> Callable[[executions.Execution], None]:
    return lambda execution: execution.state["training_job"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_job("TrainingJobStatus", "Failed"), "state of the training job"),
        (_job("HyperParameters", {"execution_arn": "another"}), "hyperparameters"),
        (_job("FinalMetricDataList", []), "within the gate"),
        (
            _job(
                "FinalMetricDataList", [{"MetricName": "eval:loss", "Value": 2.6, "Timestamp": 0.0}]
            ),
            "within the gate",
        ),
        (
            _job(
                "FinalMetricDataList", [{"MetricName": "eval:loss", "Value": 1.9, "Timestamp": 0.0}]
            ),
            "log and manifest",
        ),
        (
            lambda execution: execution.state["prepare_job"].update(state="FAILED"),
            "state of the prepare job",
        ),
        (
            lambda execution: execution.state["parameters"].update(RawTable="edgar.raw.other"),
            "raw table",
        ),
        (
            lambda execution: execution.state["parameters"].update(ModelName="edgar.models/../x"),
            "name was refused",
        ),
        (lambda execution: execution.state["steps"].pop(1), "TrainingJob"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    worker: Worker,
    execution: executions.Execution,
    change: Callable[[executions.Execution], None],
    what: str,
) -> None:
    change(execution)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert what in refused_with(execution)


def test_without_create_model_the_pipeline_is_told_principal_and_privilege(
    worker: Worker, execution: executions.Execution
) -> None:
    bed = execution.bed
    bed.change_grant("SCHEMA", "edgar.models", bed.principal, "remove", "CREATE_MODEL")
    try:
        execution.send()
        assert deliver(worker) is Fate.DELETE
        reason = refused_with(execution)
    finally:
        beds.grant_register(bed)
    assert bed.principal in reason
    assert "CREATE" in reason
    assert execution.model.rsplit(".", 1)[0] in reason


def test_a_model_of_somebody_else_gets_no_alias_and_the_pipeline_is_told(
    worker: Worker, execution: executions.Execution
) -> None:
    name = UcName.parse(execution.model)
    execution.bed.admin().registered_models.create(
        catalog_name=name.catalog, schema_name=name.schema, name=name.name
    )
    execution.send()
    assert deliver(worker) is Fate.DELETE
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    assert execution.bed.principal in answer["FailureReason"]
    with pytest.raises(AccessDenied, match="only the model's owner may"):
        Registry(worker._workspace).set_alias(name, "challenger", 1)
    with pytest.raises(NotFound):
        execution.bed.admin().model_versions.get_by_alias(execution.model, "challenger")


@pytest.mark.parametrize("spelled", ["status", "Status"])
def test_a_stop_before_work_ends_the_step_and_registers_nothing(
    worker: Worker, execution: executions.Execution, spelled: str
) -> None:
    execution.state["status"] = "Stopping"
    execution.send(execution.body(**{spelled: "Stopping"}))
    assert deliver(worker) is Fate.DELETE
    assert "stopped on request" in refused_with(execution)
    assert execution.versions() == []
    assert execution.waiting() == 0


def test_a_stop_undoes_a_version_that_never_became_ready(
    worker: Worker, execution: executions.Execution
) -> None:
    execution.bed.faults(
        {"method": "POST", "path": "model-versions/finalize$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    assert len(execution.versions()) == 1
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)


def test_why_no_version_could_be_made_is_logged_and_told(
    worker: Worker, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    execution.bed.faults(
        {"method": "POST", "path": "model-versions/create$", "times": 3, "status": 503}
    )
    execution.send()
    assert deliver(worker) is Fate.GIVE_BACK
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("was perhaps not made: the registry gave no answer" in line for line in logged) == 3
    (told,) = [line for line in logged if "not registered yet" in line]
    assert "became READY" in told
    assert (
        f"got       the registry gave no answer while {execution.bed.principal} tried to create"
        in told
    )


def test_a_storage_that_refuses_the_upload_fails_the_step_at_once(
    worker: Worker, execution: executions.Execution
) -> None:
    """The bucket's own policy forbids what Unity Catalog vended."""
    s3 = execution.bed.client("s3")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{beds.GOVERNED}/*",
    }
    s3.put_bucket_policy(
        Bucket=beds.GOVERNED, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    )
    try:
        execution.send()
        assert deliver(worker) is Fate.DELETE
    finally:
        s3.delete_bucket_policy(Bucket=beds.GOVERNED)
    assert "the registry's storage refused" in refused_with(execution)


def test_a_stop_during_work_is_noticed_before_the_version(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = worker._facts.read

    def stopped_meanwhile(arn: str) -> Any:
        execution.state["status"] = "Stopping"
        return facts(arn)

    monkeypatch.setattr(worker._facts, "read", stopped_meanwhile)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)


def stopping_after(
    execution: executions.Execution, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """The execution is stopped while `name` returns."""
    plain = getattr(owner, name)

    def then_stopped(*args: Any, **kwargs: Any) -> Any:
        made = plain(*args, **kwargs)
        execution.state["status"] = "Stopping"
        return made

    monkeypatch.setattr(owner, name, then_stopped)


@pytest.mark.parametrize(
    ("owner", "name", "drawn"),
    [(Registry, "ensure_version", False), (register.lineage_chain, "draw", True)],
    ids=["version made", "lineage drawn"],
)
def test_a_stop_before_the_record_deletes_the_version_though_it_is_ready(
    worker: Worker,
    execution: executions.Execution,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    drawn: bool,
) -> None:
    draws: list[object] = []
    plain = register.lineage_chain.draw
    monkeypatch.setattr(
        register.lineage_chain,
        "draw",
        lambda *args, **told: draws.append(1) or plain(*args, **told),
    )
    stopping_after(execution, monkeypatch, owner, name)
    execution.send()
    assert deliver(worker) is Fate.DELETE
    assert execution.versions() == []
    assert "stopped on request" in refused_with(execution)
    assert bool(draws) is drawn
    with pytest.raises(ClientError, match="NoSuchKey"):
        execution.evidence("record.json")


def test_a_stop_after_the_record_leaves_the_version_and_says_so(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_after(execution, monkeypatch, register, "write_record")
    execution.send()
    assert deliver(worker) is Fate.DELETE
    (version,) = execution.versions()
    (answer,) = execution.answers()
    assert answer["status"] == "Failed"
    expected = f"stopped after version {version.version} was recorded; alias challenger not set"
    assert answer["FailureReason"] == expected
    assert execution.evidence("record.json")["model"]["version"] == version.version
    with pytest.raises(NotFound):
        execution.bed.admin().model_versions.get_by_alias(execution.model, "challenger")


def test_a_stop_after_the_alias_does_not_deny_it(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that set the alias was lost before it answered."""
    with monkeypatch.context() as lost:
        lost.setattr(worker._answers, "succeed", raising_unavailable)
        execution.send()
        assert deliver(worker) is Fate.GIVE_BACK
    execution.state["status"] = "Stopping"
    assert deliver(worker) is Fate.DELETE
    (answer,) = execution.answers()
    assert answer["FailureReason"] == "stopped after version 1 was recorded; alias challenger set"


def raising_unavailable(*_: object, **__: object) -> None:
    raise Unavailable("no answer")


def test_a_worker_asked_to_stop_gives_the_message_back_and_the_next_one_finishes(
    worker_environment: beds.Bed, execution: executions.Execution
) -> None:
    stop = threading.Event()
    stopped = Worker(parse(execution.argv()), stop)
    execution.send()
    stop.set()
    assert deliver(stopped) is Fate.GIVE_BACK
    assert execution.answers() == []
    assert deliver(Worker(parse(execution.argv()), threading.Event())) is Fate.DELETE
    execution.check_settled()


def test_work_that_never_succeeds_fails_the_step_once_and_lands_in_the_dead_letter_queue(
    worker: Worker, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.register.worker._BACKOFF_SECONDS", 0)
    execution.bed.faults({"path": "registered-models/get$", "times": 1000, "status": 503})
    execution.send()
    fates = [deliver(worker) for _ in range(beds.MAX_RECEIVES)]
    assert fates == [Fate.GIVE_BACK] * (beds.MAX_RECEIVES - 1) + [Fate.LEAVE]
    execution.bed.faults()
    assert "the registry gave no answer" in refused_with(execution)
    _wait_until(
        lambda: (
            worker.queue.receive() is None and execution.waiting(execution.dead_letters_url) == 1
        )
    )


def deliver_for_the_last_time(worker: Worker) -> Fate:
    delivery = worker.queue.receive()
    assert delivery is not None
    return worker.handle(replace(delivery, attempt=beds.MAX_RECEIVES))


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("ALERT")
    ]


def test_a_worker_asked_to_stop_on_the_last_receive_fails_the_step_instead_of_leaving_it_waiting(
    worker_environment: beds.Bed, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    worker = Worker(parse(execution.argv()), stop)
    stop.set()
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert "the worker was asked to stop" in refused_with(execution)
    (alert,) = alerts(caplog)
    assert execution.id in alert


def test_another_workers_lease_on_the_last_receive_alerts_and_leaves_the_answer_to_it(
    worker: Worker, execution: executions.Execution, caplog: pytest.LogCaptureFixture
) -> None:
    execution.send()
    folder = f"s3://{beds.EVIDENCE}/executions/{execution.id}/register"
    with Lease(beds.REGION, folder=folder, seconds=60):
        assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    (alert,) = alerts(caplog)
    assert alert.startswith(f"ALERT {execution.id} goes to the dead-letter queue unanswered")


def test_a_message_that_could_not_be_verified_on_the_last_receive_alerts(
    worker: Worker,
    execution: executions.Execution,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker._truth, "steps", raising_unavailable)
    execution.send()
    assert deliver_for_the_last_time(worker) is Fate.LEAVE
    assert execution.answers() == []
    (alert,) = alerts(caplog)
    assert alert.startswith(
        "ALERT a message that could not be verified goes to the dead-letter queue"
    )


def _wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_lambda_names_the_messages_that_are_not_done(
    worker_environment: beds.Bed, execution: executions.Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = execution.argv()
    settings = {
        name.removeprefix("--").replace("-", "_").upper(): value
        for name, value in zip(argv[::2], argv[1::2], strict=True)
    }
    for name, value in (settings | {"AWS_REGION": beds.REGION}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("steps.register.lambda_function._worker", None)
    execution.send()
    message = execution.bed.client("sqs").receive_message(
        QueueUrl=execution.queue_url, AttributeNames=["All"]
    )["Messages"][0]
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
    }
    spoofed = record | {"messageId": "spoofed", "body": execution.body(token="0" * 10)}
    assert handler({"Records": [spoofed, record]}, None) == {
        "batchItemFailures": [{"itemIdentifier": "spoofed"}]
    }
    execution.check_settled()
