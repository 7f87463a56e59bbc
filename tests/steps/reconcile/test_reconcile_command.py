"""The command: bad input, missing rights, two at once, and one that is killed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from steps.reconcile.arguments import parse
from steps.register.worker import Worker
from tests.steps.reconcile.support import spoiling
from tests.steps.reconcile.support.reconciler import Reconciler, rights
from tests.steps.register.support.deliveries import deliver
from tests.steps.register.support.executions import Execution
from tests.steps.register.support.policies import policy
from tests.steps.register.support.register_environment import REPOSITORY

pytestmark = pytest.mark.environment


def test_unknown_arguments_are_one_message_and_exit_code_2(
    reconciler: Reconciler, execution: Execution
) -> None:
    words = [*reconciler.argv(execution, narrowed=False), "--grace-seconds=-1", "--fxi"]
    ended = reconciler.command(words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--grace-seconds" in ended.stderr
    assert "--fxi: unknown" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_execution_is_named_with_the_nearest(
    reconciler: Reconciler, execution: Execution
) -> None:
    near = execution.id[:-1] + ("a" if execution.id[-1] != "a" else "b")
    ended = reconciler.command([*reconciler.argv(execution, narrowed=False), f"--execution={near}"])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"did you mean {execution.id}?" in ended.stderr


@pytest.fixture
def without_the_queue(reconciler: Reconciler) -> Iterator[None]:
    """The role may not look at the queues."""
    iam = reconciler.environment.client("iam")
    kept = [each for each in rights() if not each["Action"][0].startswith("sqs:")]
    name = {"UserName": "reconciler", "PolicyName": "all"}
    iam.put_user_policy(**name, PolicyDocument=policy(*kept))
    yield
    iam.put_user_policy(**name, PolicyDocument=policy(*rights()))


@pytest.mark.usefixtures("without_the_queue")
def test_a_missing_right_leaves_out_one_comparison_and_the_others_are_made(
    reconciler: Reconciler, registered: Execution
) -> None:
    whole = reconciler.compare(registered)
    assert (whole.differences, whole.exit_code) == ((), 2)
    assert [each.pair for each in whole.could_not] == ["step.queue"]
    spoiling.remove_alias(registered)
    assert [each.pair for each in reconciler.compare(registered).differences] == ["ledger.aliases"]


def test_two_at_once_and_one_that_is_killed_have_one_effect(
    reconciler: Reconciler, worker: Worker, registered: Execution
) -> None:
    spoiling.remove_alias(registered)
    spoiling.repeat_edge(registered)
    spoiling.leave_dead_letter(registered)
    words = reconciler.argv(registered, "--fix", "--json", "--wait-seconds=60")
    command = [sys.executable, "-m", "steps.reconcile", *words]
    started = [
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=reconciler.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    deadline = time.monotonic() + 120
    while not registered.waiting():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started[0].kill()  # it, or the other one, has just sent a message
    started[0].communicate()
    while started[1].poll() is None:
        assert time.monotonic() < deadline
        if registered.waiting():
            deliver(worker)
        time.sleep(0.05)
    json.loads(started[1].communicate()[0])
    while registered.waiting():
        deliver(worker)
    registered.check_settled()


def test_a_report_is_one_json_document_and_changes_nothing(
    reconciler: Reconciler, registered: Execution
) -> None:
    spoiling.remove_alias(registered)
    ended = reconciler.command(reconciler.argv(registered, "--json"))
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["exit_code"], document["left"]) == (1, 1, 1)
    (line,) = document["lines"]
    assert (line["action"], line["pair"]) == ("would ask the worker", "ledger.aliases")
    assert registered.waiting() == 0
    assert registered.token not in ended.stdout + ended.stderr


def test_help_states_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert "0 all agree · 1 differences · 2 could not" in capsys.readouterr().out
