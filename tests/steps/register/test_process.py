"""The worker as a process: it starts or refuses to start, waits, answers, and ends."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from steps.governance import aws
from steps.governance.errors import UsageError
from steps.register import __main__ as command
from steps.register.arguments import Arguments, from_environment, parse
from steps.register.limits import Limits
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.register_environment import RegisterEnvironment

GOOD = {
    "queue-url": "https://sqs.eu-west-1.amazonaws.com/000000000000/register",
    "pipeline-name": "governed-finetune",
    "databricks-host": "https://dbc-1.cloud.databricks.com",
    "databricks-secret-id": "governed-finetune-dev/databricks/register",
    "evidence-uri": "s3://governed-finetune-dev-evidence/executions",
    "image": "registry/register@sha256:" + "0" * 64,
    "signing-key-arn": "arn:aws:kms:eu-west-1:000000000000:alias/governed-finetune-dev-register",
    "ledger-uri": "s3://governed-finetune-dev-evidence/ledger",
    "region": "eu-west-1",
}
LIMITS = {
    "max-eval-loss": "3.0",
    "instance-types": "ml.g5.xlarge,ml.g6.xlarge",
    "max-runtime-seconds": "14400",
    "aliases": "challenger,candidate",
}
GOOD |= LIMITS


def argv(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def test_command_line_and_variables_give_the_same_settings() -> None:
    given = [value for name, value in GOOD.items() if name not in LIMITS]
    limits = Limits(3.0, ("ml.g5.xlarge", "ml.g6.xlarge"), 14_400, ("challenger", "candidate"))
    expected = Arguments(*given, limits=limits, visibility_seconds=60)
    assert parse(argv(GOOD)) == expected
    variables = {name.replace("-", "_").upper(): value for name, value in GOOD.items()}
    assert from_environment(variables | {"AWS_REGION": variables.pop("REGION")}) == expected


def test_one_error_names_all_faults() -> None:
    settings = GOOD | {
        "queue-url": "register",
        "evidence-uri": "/tmp/x",
        "visibility-seconds": "2",
        "regoin": "x",
    }
    del settings["region"]
    with pytest.raises(UsageError) as refusal:
        parse(argv(settings))
    for fault in (
        "--queue-url",
        "--evidence-uri",
        "--visibility-seconds",
        "--region is missing: an AWS region",
        "--regoin: unknown",
    ):
        assert fault in str(refusal.value)


@pytest.mark.parametrize("name", GOOD)
def test_each_argument_is_required_and_checked(name: str) -> None:
    for value in (None, "", "../..", "a b", "x\ny"):
        settings = {key: kept for key, kept in GOOD.items() if key != name} | (
            {name: value} if value is not None else {}
        )
        with pytest.raises(UsageError, match=f"--{name}"):
            parse(argv(settings))


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "steps.register", *arguments],
        cwd=register_environment.REPOSITORY,
        env=register_environment.plain_variables(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_help_names_every_argument_without_loading_a_client() -> None:
    code = (
        "import sys; from steps.register.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'boto3', 'mlflow', 'databricks.sdk.core', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=register_environment.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("[]\n")
    for name in (*GOOD, "visibility-seconds"):
        assert f"--{name}" in done.stdout


def test_faulty_arguments_end_with_2_and_one_message() -> None:
    with started("--queue-url", "x") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert " steps.register: the register worker was not started" in errors.splitlines()[0]
    assert "Traceback" not in errors


@pytest.fixture
def in_this_process(environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `main` run here, with a worker's variables, but no handlers of logs and signals."""
    for name, value in environment.variables().items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    monkeypatch.setattr(command, "configure", lambda _, job: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.mark.environment
@pytest.mark.usefixtures("in_this_process")
def test_a_wrong_client_secret_ends_the_worker_at_once_and_is_not_shown(
    environment: RegisterEnvironment,
    execution: executions.Execution,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = {"clientId": environment.principal, "clientSecret": "dose-canary-secret"}
    name = f"{register_environment.SECRET_ID}-wrong"
    environment.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(secret))
    assert command.main(execution.argv(**{"databricks-secret-id": name})) == 1
    shown = capsys.readouterr()
    assert f"refused the service principal {environment.principal}" in caplog.text
    assert "dose-canary-secret" not in shown.out + shown.err + caplog.text


@pytest.mark.environment
@pytest.mark.usefixtures("in_this_process")
def test_a_queue_without_dead_letters_is_refused(
    environment: RegisterEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    url = environment.client("sqs").create_queue(QueueName="register-bare")["QueueUrl"]
    assert command.main(environment.argv(url)) == 2
    assert "has no dead-letter queue" in caplog.text


@pytest.mark.environment
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_running_worker_answers_shows_no_secret_and_ends_at_once(
    environment: RegisterEnvironment, execution: executions.Execution, number: signal.Signals
) -> None:
    value = environment.client("secretsmanager").get_secret_value(
        SecretId=register_environment.SECRET_ID
    )["SecretString"]
    with started(*execution.argv(), **environment.variables()) as process:
        _wait_for_line(process, "waiting for callbacks")
        execution.send()
        lines = _wait_for_line(process, "message deleted", seconds=180)
        time.sleep(0.5)  # it polls again, for 20 s
        signalled = datetime.now()  # noqa: DTZ005 - the worker logs local time
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    # by its log: on a busy machine the interpreter's own end takes seconds
    (stopped,) = [line for line in errors.splitlines() if line.endswith(" stopped")]
    ended = datetime.fromisoformat(stopped[:23].replace(",", "."))
    assert (ended - signalled).total_seconds() < 10, "it waited for the end of the poll"
    execution.check_settled()
    ours = [line for line in lines.splitlines() if " steps." in line]
    assert ours, lines
    assert all(f" register {execution.id} " in line for line in ours), lines
    for secret in (
        json.loads(value)["clientSecret"],
        execution.token,
        environment.worker_keys["AWS_SECRET_ACCESS_KEY"],
    ):
        assert secret not in lines + output + errors


def _wait_for_line(process: subprocess.Popen[str], text: str, seconds: float = 120) -> str:
    assert process.stderr is not None
    seen, timer = "", threading.Timer(seconds, process.kill)  # a kill ends readline
    timer.start()
    try:
        while line := process.stderr.readline():
            seen += line
            if text in line:
                return seen
    finally:
        timer.cancel()
    raise AssertionError(f"no line with {text!r}: {seen}")
