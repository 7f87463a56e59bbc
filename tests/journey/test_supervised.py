"""What happens at night: a worker is killed, its session expires or is revoked, the workspace is
killed, tokens are revoked and secrets rotated. Each time with what a person sees.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import patch

import boto3
import psutil
import pytest
from botocore.config import Config

from pipeline.execution import attention
from pipeline.local import __main__ as local_command
from pipeline.local.host.processes import Process
from pipeline.local.host.state import State
from pipeline.local.workspace.oauth import TOKEN
from pipeline.local.workspace.store import Store
from tests.journey.conftest import (
    REPOSITORY,
    Environment,
    supervised_worker,
    supervisor_of,
    wait_for,
)

pytestmark = pytest.mark.environment

WAITS = re.compile(r"; attempt \d+ follows in .* s are left \(waits since .*, gives up at .* UTC\)")
ROLE = "governed-finetune-local-register"


def log_of(environment: Environment) -> str:
    return State(environment.state).log("register").read_text(errors="replace")


def register_waits(environment: Environment, execution: str) -> bool:
    step = environment.steps(execution).get("Register", {})
    return bool(step.get("StepStatus") == "Executing")


def shown_by_status(environment: Environment, capsys: pytest.CaptureFixture[str]) -> str:
    """What `python -m pipeline.local status` prints."""
    capsys.readouterr()
    with patch.dict(os.environ):  # the command removes variables of real clouds
        assert local_command.main(["status", "--state", str(environment.state)]) == 0
    return capsys.readouterr().out


def test_a_killed_worker_is_shown_and_another_one_is_started(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor, worker = supervisor_of(environment.state), supervised_worker(environment.state)
    before = len(log_of(environment))
    supervisor.suspend()
    try:
        worker.kill()
        execution = environment.start()
        wait_for(lambda: register_waits(environment, execution), seconds=240)
        monkeypatch.setattr(attention, "UNTAKEN_SECONDS", 1)  # two minutes in no time
        name = execution.rpartition("/")[2]
        line = wait_for(
            lambda: re.search(
                f"execution {name}  Register: (.*)", shown_by_status(environment, capsys)
            )
        )
        assert line.group(1).startswith(f"{attention.NOT_TAKEN} ")
        assert re.search(
            rf"the last heartbeat is of .* UTC, by \S+-{worker.pid}: start a register",
            line.group(1),
        )
    finally:
        supervisor.resume()
    wait_for(lambda: environment.status(execution) == "Succeeded", seconds=240)
    assert f"execution {name}  Register:" not in shown_by_status(environment, capsys)
    added = log_of(environment)[before:]
    assert "supervisor the worker ended with -9; another one starts in 1 s" in added
    assert supervised_worker(environment.state).pid != worker.pid


def test_a_worker_whose_sessions_are_revoked_ends_and_the_next_one_has_a_new_session(
    environment: Environment,
) -> None:
    """AWS's "revoke active sessions" of a role."""
    iam, before = environment.client("iam", environment.root), len(log_of(environment))
    worker = supervised_worker(environment.state)
    older = {"DateLessThan": {"aws:TokenIssueTime": datetime.now(UTC).isoformat()}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=ROLE, PolicyName="AWSRevokeOlderSessions", PolicyDocument=policy)
    try:
        wait_for(lambda: "the worker ended with 75" in log_of(environment)[before:], seconds=120)
        wait_for(
            lambda: (
                "waiting for callbacks" in log_of(environment)[before:].split("ended with 75")[1]
            )
        )
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="AWSRevokeOlderSessions")
    added = log_of(environment)[before:]
    assert "this worker ends: it has not been able to work since" in added
    assert "credentials of the register role, and its queue" in added
    assert supervised_worker(environment.state).pid != worker.pid


def test_a_worker_with_an_expired_session_gets_a_new_one(environment: Environment) -> None:
    """As after a night: the session that it was started with has expired."""
    worker = supervised_worker(environment.state)
    argv, variables = worker.cmdline(), worker.environ()
    supervisor = ["-m", "pipeline.local.supervisor", "--state", str(environment.state)]
    supervisor += ["--endpoint", environment.scientist["AWS_ENDPOINT_URL"], "--"]
    with subprocess.Popen(
        [argv[0], *supervisor, *argv],
        env=variables | expired_session(environment),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "waiting for callbacks" in line:
                    break
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    shown = "".join(lines)
    assert re.search("ExpiredToken|InvalidClientTokenId|UnrecognizedClient", shown)
    assert "supervisor the worker ended with 1; another one starts in 1 s" in shown
    assert "waiting for callbacks" in lines[-1]


def expired_session(environment: Environment) -> dict[str, str]:
    """A session of the role that has expired. AWS lends none; the stand-in takes any duration."""
    unchecked = Config(parameter_validation=False)
    root = {name.lower(): value for name, value in environment.root.items()}
    client = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=environment.scientist["AWS_ENDPOINT_URL"],
        config=unchecked,
        **root,
    )
    with closing(client) as sts:
        keys = sts.assume_role(
            RoleArn=f"arn:aws:iam::000000000000:role/{ROLE}",
            RoleSessionName="night",
            DurationSeconds=-60,
        )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


@contextmanager
def workspace_killed(environment: Environment) -> Iterator[None]:
    """Kill the workspace; start it again at the end, recorded for `down` as the first one."""
    state = State(environment.state)
    record = state.load()
    (known,) = [each for each in record.processes if each.name == "workspace"]
    process = psutil.Process(known.pid)
    argv, variables = process.cmdline(), process.environ()
    process.kill()
    wait_for(lambda: known.handle() is None, seconds=10)
    try:
        yield
    finally:
        started = subprocess.Popen(
            argv,
            env=variables,
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.returncode = 0  # from here on it is known by its pid
        again = Process("workspace", started.pid, psutil.Process(started.pid).create_time())
        processes = tuple(again if each == known else each for each in record.processes)
        state.save(replace(record, processes=processes))


def rotate(environment: Environment, principal: str) -> None:
    """Replace the principal's secret, and let the old one end, as a rotation does."""
    secrets = environment.client("secretsmanager", environment.root)
    name = f"governed-finetune-local/databricks/{principal}"
    known = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    proxy = environment.admin.service_principal_secrets_proxy
    made = proxy.create(known["servicePrincipalId"])
    changed = known | {"clientSecret": made.secret, "oauthSecretId": made.id}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(changed))
    proxy.delete(known["servicePrincipalId"], str(known["oauthSecretId"]))


def revoke_tokens(environment: Environment, principal: str) -> None:
    """Remove the principal's access tokens, as an administrator's revocation does."""
    path, revoked = environment.state / "workspace" / "workspace.sqlite", 0
    with closing(Store(path)) as store, store.transaction():
        for key, token in store.items(TOKEN):
            if token["principal"] == environment.principal(principal):
                store.delete(TOKEN, key)
                revoked += 1
    assert revoked


def messages(environment: Environment, group: str) -> str:
    """The log of a group, as an administrator reads it."""
    logs = environment.client("logs", environment.root)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return "\n".join(event["message"] for page in pages for event in page["events"])


def test_a_killed_workspace_a_revoked_token_and_a_rotated_secret_are_waited_out_and_renewed(
    environment: Environment,
) -> None:
    prepare = "/aws/emr-serverless"
    before, worker_before = len(messages(environment, prepare)), len(log_of(environment))
    with workspace_killed(environment):
        execution = environment.start()
        wait_for(lambda: WAITS.search(messages(environment, prepare)[before:]), seconds=120)
        assert environment.status(execution) == "Executing"
    wait_for(lambda: "Train" in environment.steps(execution), seconds=240)
    rotate(environment, "register")
    revoke_tokens(environment, "register")
    wait_for(lambda: environment.status(execution) != "Executing", seconds=240)
    assert environment.status(execution) == "Succeeded"
    added = log_of(environment)[worker_before:]
    assert "the workspace refused the access token; it is dropped and replaced" in added
    assert "ALERT" not in added
