"""From two empty accounts to an environment in which nothing is missing, and back to it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline import rights
from pipeline.bootstrap import embedded as site_of
from pipeline.bootstrap import layers, order, workspace
from pipeline.bootstrap.change import Change, Part, carried_out
from pipeline.doctor import __main__ as doctor
from pipeline.doctor import embedded
from pipeline.doctor.check import OK
from pipeline.doctor.workspace import principals
from pipeline.errors import Refused
from pipeline.local.synthetic import corpus
from tests.pipeline.doctor import removals

pytestmark = pytest.mark.environment
REPOSITORY = Path(__file__).parents[3]


@dataclass
class Made:
    """A state folder, what its plans and its bootstrap printed, and who may see everything."""

    state: Path
    plans: list[list[dict[str, Any]]]
    applied: list[dict[str, Any]]
    config: Any
    client: Callable[[str], Any]
    admin: Any

    def plan(self, code: int) -> list[dict[str, Any]]:
        return bootstrap(self.state, "--plan", code=code)

    def grants(self) -> list[removals.Removal]:
        return list(removals.grants(self.config, self.admin, principals(self.config, self.admin)))


def command(module: str, state: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", module, *words, "--state", str(state)]
    return subprocess.run(whole, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def bootstrap(state: Path, *words: str, code: int) -> list[dict[str, Any]]:
    ended = command("pipeline.bootstrap", state, "--env", "local", "--json", *words)
    assert ended.returncode == code, ended.stdout + ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    state = tmp_path_factory.mktemp("bootstrap") / "state"
    ended = command("pipeline.local", state, "up", "--empty")
    assert ended.returncode == 0, ended.stderr
    plans = [bootstrap(state, "--plan", code=3) for _ in range(2)]
    applied = bootstrap(state, code=0)
    config, client, admin = embedded.identities(str(state))
    yield Made(state, plans, applied, config, client, admin())
    assert command("pipeline.local", state, "down").returncode == 0


def named(changes: list[dict[str, Any]]) -> list[str]:
    return [f"{each['sign']} {each['what']}" for each in changes]


def test_a_plan_changes_nothing_and_names_what_is_then_made(made: Made) -> None:
    first, second = made.plans
    assert first == second
    planned = set(named(first))
    assert {
        name for name in named(made.applied) if not name.startswith("~ values of conf")
    } <= planned
    assert "+ stack governed-finetune-local-compute" in planned
    assert "+ grant on schema edgar.models to approver" in planned
    stacks = [each for each in first if each["what"].startswith("stack ")]
    assert [each["what"].rpartition("-")[2] for each in stacks] == list(layers.chosen(made.config))
    assert "+ AWS::IAM::Role PrepareRole" in stacks[0]["details"]


def test_afterwards_the_doctor_finds_nothing_missing(made: Made) -> None:
    deadline = time.monotonic() + 120  # the worker imports mlflow before its first heartbeat
    while wrong := [
        each
        for each in doctor.examined(made.config, made.client, lambda: made.admin)
        if each.state != OK
    ]:
        assert time.monotonic() < deadline, wrong
        time.sleep(1)


def test_a_second_run_makes_no_changes(made: Made) -> None:
    ended = command("pipeline.bootstrap", made.state, "--env", "local")
    assert (ended.returncode, ended.stdout) == (0, "no changes\n"), ended.stderr
    began = time.process_time(), time.monotonic()
    assert made.plan(0) == []
    assert time.monotonic() - began[1] < 45, "15 s on an idle machine"


@pytest.mark.parametrize("number", [0, 17, -1])
def test_a_grant_that_is_taken_away_is_planned_alone_and_given_again(
    made: Made, number: int
) -> None:
    removal = made.grants()[number]
    removal.take()
    (only,) = made.plan(3)
    _, privilege, rest = removal.check.split(" ", 2)
    assert named([only]) == [f"+ grant {rest}"]
    assert only["details"] == [f"+ {privilege}"]
    assert bootstrap(made.state, code=0) == [only]
    assert made.plan(0) == []


def test_what_somebody_removed_from_the_workspace_and_the_secrets_is_made_again(
    made: Made,
) -> None:
    group = made.config.evidence.approvers_group
    (found,) = made.admin.groups.list(filter=f'displayName eq "{group}"')
    made.admin.groups.delete(found.id)
    name = "governed-finetune-local/databricks/train"
    made.client("secretsmanager").put_secret_value(SecretId=name, SecretString="{}")
    expected = [f"+ OAuth secret of train, in {name}", f"+ group {group}"]
    assert named(made.plan(3)) == expected
    assert named(bootstrap(made.state, code=0)) == expected
    stored = made.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    assert json.loads(stored)["clientId"] == principals(made.config, made.admin)["train"]
    assert made.plan(0) == []


def test_another_parameter_is_a_change_set_that_is_shown_before_it_is_executed(made: Made) -> None:
    cloudformation = made.client("cloudformation")
    name = "governed-finetune-local-compute"
    stacks = layers.Stacks(cloudformation, made.config, given(made) | {"MaxVcpus": "20"})
    part = Part("layer compute", "me", lambda: layers.changes(stacks, "compute"))
    (planned,) = carried_out([part], plan=True, show=lambda change: None)
    assert (planned.sign, planned.what) == ("~", f"stack {name}")
    assert any(
        "AWS::EMRServerless::Application PrepareApplication" in line for line in planned.details
    )
    left = cloudformation.list_change_sets(StackName=name)["Summaries"]
    assert [each for each in left if each["ExecutionStatus"] == "AVAILABLE"] == []
    assert vcpus(made) == "16 vCPU"
    carried_out([part], plan=False, show=lambda change: None)
    assert vcpus(made) == "20 vCPU"
    (back,) = bootstrap(made.state, code=0)
    assert (back["sign"], back["what"]) == ("~", f"stack {name}")
    assert vcpus(made) == "16 vCPU"


def given(made: Made) -> dict[str, str]:
    outputs = made.client("cloudformation").describe_stacks()["Stacks"]
    network = {
        each["OutputKey"]: each["OutputValue"] for one in outputs for each in one.get("Outputs", ())
    }
    return site_of.site(str(made.state), corpus.small()).given() | network


def vcpus(made: Made) -> str:
    emr = made.client("emr-serverless")
    found = emr.get_application(applicationId=made.config.prepare.application_id)
    return str(found["application"]["maximumCapacity"]["cpu"])


def test_the_first_refusal_stops_and_names_who_may(made: Made) -> None:
    """The scientist's principal may make no schema: the next part is not reached."""
    from databricks.sdk import WorkspaceClient

    secrets = made.client("secretsmanager")
    name = "governed-finetune-local/databricks/scientist"
    identity = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    scientist = WorkspaceClient(
        host=made.config.databricks.host,
        client_id=identity["clientId"],
        client_secret=identity["clientSecret"],
        auth_type="oauth-m2m",
    )
    shown: list[Change] = []
    reached: list[str] = []

    def schema() -> Iterator[Change]:
        yield Change("+", "schema edgar.more", lambda: scientist.schemas.create("more", "edgar"))

    def later() -> Iterator[Change]:
        yield Change("+", "later", lambda: reached.append("later"))

    parts = [Part("the catalogs", "a metastore admin", schema), Part("later", "nobody", later)]
    with pytest.raises(Refused, match=r"schema edgar\.more was refused") as refused:
        carried_out(parts, plan=False, show=shown.append)
    assert "ask       a metastore admin" in str(refused.value)
    assert identity["clientSecret"] not in str(refused.value)
    assert [change.what for change in shown] == ["schema edgar.more"]
    assert reached == []


def test_what_a_person_does_first_ends_it_there() -> None:
    def images() -> Iterator[Change]:
        yield Change("!", "image of prepare", None, ("scripts/images …",), stops=True)

    def later() -> Iterator[Change]:
        yield Change("+", "later", lambda: pytest.fail("made"))

    parts = [Part("the images", "me", images), Part("later", "me", later)]
    shown: list[Change] = []
    assert [each.sign for each in carried_out(parts, plan=False, show=shown.append)] == ["!"]
    assert [each.sign for each in carried_out(parts, plan=True, show=shown.append)] == ["!", "+"]


def test_every_part_names_who_may(made: Made) -> None:
    found = order.parts(site_of.site(str(made.state), corpus.small()))
    assert len({part.name for part in found}) == len(found) >= 15
    assert all(len(part.who) > 20 for part in found)


def test_no_two_environments_share_a_name_in_the_metastore(made: Made) -> None:
    names = {found.name for found in made.admin.external_locations.list()}
    assert names == {f"governed_finetune_local_{content}" for content in workspace.CONTENTS}


def test_without_servers_it_is_a_fault_of_usage(tmp_path: Path) -> None:
    ended = command("pipeline.bootstrap", tmp_path, "--env", "local", "--plan")
    assert ended.returncode == 2
    assert "pipeline.local up --empty" in ended.stderr


def test_an_environment_that_runs_is_not_started_empty(made: Made) -> None:
    ended = command("pipeline.local", made.state, "up", "--empty")
    assert ended.returncode == 2
    assert "is not empty" in ended.stderr


@pytest.mark.long
def test_then_a_run_registers_a_version(made: Made) -> None:
    ended = command("pipeline.local", made.state, "run", "--json")
    assert ended.returncode == 0, ended.stderr
    assert made.plan(0) == []


def test_at_last_cleanup_removes_what_it_may_and_names_what_stays(made: Made) -> None:
    """The last test: the module's environment is gone afterwards, but for its evidence."""
    planned = cleanup(made, "--plan", code=3)
    assert stored_secrets(made) == 7
    removed = cleanup(made, code=0)
    assert [each for each in removed if each["sign"] == "-"] == [
        each for each in planned if each["sign"] == "-"
    ]
    order = [each["what"] for each in removed if each["sign"] == "-"]
    assert order.index("schema edgar.raw") < order.index("catalog edgar")
    assert stored_secrets(made) == 0
    stacks = [f"stack governed-finetune-local-{name}" for name in LAST]
    assert [what for what in order if what.startswith("stack ")] == stacks
    assert order.index(stacks[-1]) < order.index("schema edgar.raw"), "costs first"
    for again in (cleanup(made, code=0), cleanup(made, "--plan", code=0)):
        assert {each["sign"] for each in again} == {"="}
        assert [each["what"] for each in again] == STAY
        assert all(each["details"] for each in again)
    assert {found.display_name for found in made.admin.service_principals.list()} == {
        "metastore-admin"
    }
    assert list(made.admin.catalogs.list()) == []
    stacks = made.client("cloudformation").describe_stacks()["Stacks"]
    names = {each["StackName"].rpartition("-")[2] for each in stacks}
    assert names == {"foundation", "identity"}
    bucket = made.config.storage.evidence_bucket
    assert made.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]


def stored_secrets(made: Made) -> int:
    secrets = made.client("secretsmanager")
    names = [f"governed-finetune-local/databricks/{name}" for name in rights.PRINCIPALS]
    texts = [secrets.get_secret_value(SecretId=name)["SecretString"] for name in names]
    return sum("clientSecret" in text for text in texts)


LAST = ("watch", "compute", "network")
STAY = [
    "stack governed-finetune-local-foundation",
    "stack governed-finetune-local-identity",
    "log groups /aws/sagemaker/TrainingJobs /aws/emr-serverless",
]


def cleanup(made: Made, *words: str, code: int) -> list[dict[str, Any]]:
    sure = () if "--plan" in words else ("--yes", "local")
    ended = command("pipeline.cleanup", made.state, "--env", "local", "--json", *sure, *words)
    assert ended.returncode == code, ended.stdout + ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return found
