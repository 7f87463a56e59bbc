"""`--engine spark`: job runs on the real Spark of build/spark-venv."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.aws.emr_serverless.driver_run import (
    _driver_variables,
    _submit_arguments,
)
from pipeline.local.aws.processes.images import SPARK_PYTHON

REPOSITORY = Path(__file__).parents[4]
ENVIRONMENT = SPARK_PYTHON.parents[1]


@pytest.mark.environment
@pytest.mark.spark
@pytest.mark.skipif(
    shutil.which("java") is None,
    reason="real Spark needs Java 17, and java is not on the PATH",
)
@pytest.mark.skipif(
    not (REPOSITORY / SPARK_PYTHON).exists(),
    reason="build/spark-venv is not there: run scripts/spark-venv",
)
def test_a_job_runs_on_real_spark_and_its_functions_can_import_the_image(new_server):
    server = new_server
    (server.repository / ENVIRONMENT).parent.mkdir()
    (server.repository / ENVIRONMENT).symlink_to(REPOSITORY / ENVIRONMENT, target_is_directory=True)
    server.arguments = ("--engine", "spark")
    server.start()
    server.deploy()
    config = server.prepare_arguments("spark")["JobConfig"]
    config["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"] = (
        "--conf spark.emr-serverless.driverEnv.A=b"
    )
    emr = server.client("emr-serverless")
    started = emr.start_job_run(
        applicationId=config["applicationId"],
        executionRoleArn=config["executionRoleArn"],
        clientToken="spark",
        jobDriver=config["jobDriver"],
    )
    names = {key: started[key] for key in ("applicationId", "jobRunId")}
    server.eventually(
        lambda: emr.get_job_run(**names)["jobRun"]["state"] in ("SUCCESS", "FAILED"), 180
    )
    run = emr.get_job_run(**names)["jobRun"]
    assert run["state"] == "SUCCESS", run["stateDetails"]
    path = f"applications/{names['applicationId']}/jobs/{names['jobRunId']}/SPARK_DRIVER/stdout"
    assert "ROWS [0, 2, 4] classic" in server.log("/aws/emr-serverless", path)


def test_without_its_interpreter_the_server_ends_with_exit_code_2(new_server):
    command = [
        sys.executable,
        "-m",
        "pipeline.local.aws",
        "--port",
        str(new_server.port),
        "--engine",
        "spark",
    ]
    command += ["--state", str(new_server.state), "--repository", str(new_server.repository)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == (
        "--engine spark: expected build/spark-venv/bin/python, found none; make it with "
        "scripts/spark-venv\n"
    )
    assert not new_server.state.exists()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", "--conf 'spark.master=local[2]' pyspark-shell"),
        ("--conf a=b", "--conf a=b --conf 'spark.master=local[2]' pyspark-shell"),
        ("--master local[1]", "--master 'local[1]' pyspark-shell"),
        ("--conf spark.master=local[1]", "--conf 'spark.master=local[1]' pyspark-shell"),
    ],
)
def test_this_machine_is_the_cluster_unless_the_run_names_one(parameters, expected):
    assert _submit_arguments(parameters) == expected


def test_the_driver_gets_its_variables_and_paths_of_the_image_are_paths_here():
    own = "--conf spark.emr-serverless.driverEnv."
    parameters = f"{own}A=b=c --conf spark.x=1 {own}PYTHONPATH=/opt/governed-finetune"
    assert _driver_variables(parameters, Path("/r")) == {"A": "b=c", "PYTHONPATH": "/r"}
