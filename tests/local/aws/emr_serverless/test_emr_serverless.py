"""Applications and job runs, with Sail as the Spark."""

import uuid

import pytest
from botocore.exceptions import ClientError

from pipeline.local.aws.processes import images

pytestmark = [pytest.mark.environment]


@pytest.fixture
def emr(server):
    return server.client("emr-serverless")


@pytest.fixture
def start(server, emr):
    """Start one run with the stack's prepare role; its names."""

    def run(do="nothing", token="", **changes):
        submit = server.prepare_arguments(do)["JobConfig"]["jobDriver"]["sparkSubmit"]
        submit["entryPoint"] = changes.pop("entry", submit["entryPoint"])
        answer = emr.start_job_run(
            applicationId=server.outputs["ApplicationId"],
            executionRoleArn=changes.pop("role", server.outputs["PrepareRoleArn"]),
            clientToken=token or uuid.uuid4().hex,
            jobDriver={"sparkSubmit": submit},
            **changes,
        )
        return {key: answer[key] for key in ("applicationId", "jobRunId")}

    return run


@pytest.fixture
def ended(server, emr):
    """A run's last description."""

    def wait(names):
        server.eventually(
            lambda: (
                emr.get_job_run(**names)["jobRun"]["state"] in ("SUCCESS", "FAILED", "CANCELLED")
            ),
            seconds=180,  # Spark's start, while other workers start theirs
        )
        return emr.get_job_run(**names)["jobRun"]

    return wait


def lines(server, names, stream):
    path = f"applications/{names['applicationId']}/jobs/{names['jobRunId']}/SPARK_DRIVER/{stream}"
    return server.log("/aws/emr-serverless", path)


@pytest.mark.spark
def test_a_job_finds_spark_and_its_functions_can_import_the_image(server, start, ended):
    names = start("spark")
    assert ended(names)["state"] == "SUCCESS", lines(server, names, "stderr")
    assert "ROWS [0, 2, 4] remote" in lines(server, names, "stdout")


@pytest.mark.spark
def test_the_engine_outlives_the_jobs_threads(server, start, ended):
    """Spark Connect's client releases results in threads; without an engine they repeat that for
    ten minutes, and so long the job does not end.
    """
    names = start("linger")
    assert ended(names)["state"] == "SUCCESS", lines(server, names, "stderr")
    assert lines(server, names, "stdout")[-1] == "the engine still listens"


def test_a_failed_run_ends_with_its_last_line_and_its_whole_log(server, start, ended):
    names = start("crash no such table")
    run = ended(names)
    assert run["state"] == "FAILED"
    assert run["stateDetails"].endswith(
        "Driver ended with exit code 1: RuntimeError: no such table"
    )
    assert lines(server, names, "stdout") == ["prepare begins"]
    assert lines(server, names, "stderr")[0] == "Traceback (most recent call last):"
    assert lines(server, names, "stderr")[-1] == "RuntimeError: no such table"


def test_the_same_client_token_starts_one_run(server, emr, start, ended):
    token = uuid.uuid4().hex
    names = start(token=token)
    assert start(token=token) == names
    ended(names)
    listed = emr.list_job_runs(applicationId=names["applicationId"], maxResults=1)
    assert [run["id"] for run in listed["jobRuns"]] == [names["jobRunId"]]


def test_a_cancelled_run_has_no_process(server, emr, start, ended):
    names = start("sleep")
    stdout = server.state / "aws/jobs" / names["jobRunId"] / "stdout"
    server.eventually(lambda: stdout.exists() and "asleep" in stdout.read_text())
    emr.cancel_job_run(**names)
    assert ended(names)["state"] == "CANCELLED"
    assert server.processes(names["jobRunId"]) == []


def test_an_entry_point_in_s3_is_read_with_the_roles_own_rights(server, start, ended):
    evidence, governed = server.outputs["EvidenceBucket"], server.outputs["GovernedBucket"]
    server.client("s3", "prepare").put_object(
        Bucket=evidence,
        Key="executions/e/prepare/job.py",
        Body=b"print('from S3')",
        IfNoneMatch="*",
    )
    names = start(entry=f"s3://{evidence}/executions/e/prepare/job.py")
    assert ended(names)["state"] == "SUCCESS"
    assert lines(server, names, "stdout") == ["from S3"]
    details = ended(start(entry=f"s3://{governed}/curated/job.py"))["stateDetails"]
    assert "Forbidden" in details or "AccessDenied" in details


@pytest.mark.parametrize(
    "entry",
    [f"local://{images.WORKDIR}/steps/none.py", "local:///etc/passwd", "file:///etc/passwd"],
)
def test_an_entry_point_outside_the_image_is_refused(start, ended, entry):
    run = ended(start(entry=entry))
    assert (run["state"], "expected" in run["stateDetails"]) == ("FAILED", True)


def test_logs_in_s3_are_refused_by_name(emr, start):
    monitoring = {
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://logs/"}}
    }
    name = "monitoringConfiguration.s3MonitoringConfiguration"
    with pytest.raises(
        ClientError, match=f"not implemented: StartJobRun configurationOverrides {name}"
    ):
        start(configurationOverrides=monitoring)
    with pytest.raises(ClientError, match=f"not implemented: CreateApplication {name}"):
        emr.create_application(
            name="logs", releaseLabel="emr-spark-8.0.0", type="SPARK", **monitoring
        )
    assert "logs" not in [item["name"] for item in emr.list_applications()["applications"]]


def test_a_session_policy_narrows_the_run(server, start, ended):
    bucket = server.outputs["EvidenceBucket"]
    server.client("s3", "prepare").put_object(
        Bucket=bucket, Key="executions/p/prepare/a", Body=b"", IfNoneMatch="*"
    )
    assert ended(start(f"read {bucket}/executions/p/prepare/a"))["state"] == "SUCCESS"
    nothing = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", '
        '"Resource": "*"}]}'
    )
    run = ended(
        start(f"read {bucket}/executions/p/prepare/a", executionIamPolicy={"policy": nothing})
    )
    assert "AccessDenied" in run["stateDetails"]


def test_an_application_made_again_under_its_name_has_its_old_id(emr):
    def make():
        return emr.create_application(
            name="again", releaseLabel="emr-spark-8.0.0", type="SPARK", clientToken=uuid.uuid4().hex
        )["applicationId"]

    first = make()
    assert len(first) == 16
    assert make() != first  # names are not unique
    emr.delete_application(applicationId=first)
    assert make() == first
    emr.stop_application(applicationId=first)
    assert emr.get_application(applicationId=first)["application"]["state"] == "STOPPED"
    emr.start_application(applicationId=first)
    assert {"id": first, "state": "STARTED"}.items() <= next(
        item.items() for item in emr.list_applications()["applications"] if item["id"] == first
    )


def test_an_application_at_work_is_not_deleted(server, emr, start, ended):
    names = start("sleep")
    with pytest.raises(ClientError, match="not finished"):
        emr.delete_application(applicationId=names["applicationId"])
    emr.cancel_job_run(**names)
    ended(names)
    with pytest.raises(ClientError, match="cannot be cancelled"):
        emr.cancel_job_run(**names)


def test_unknown_names_are_not_found(emr, server):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        emr.get_application(applicationId="nosuch")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        emr.get_job_run(applicationId=server.outputs["ApplicationId"], jobRunId="nosuch")
