"""Two people at once: each with a shell and a run; lists, logs and comparisons are right for each.

Everything is done with the scientist's rights, which the environment enforces.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.journey.conftest import FAST, Environment, wait_for

pytestmark = pytest.mark.environment
_SET = [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def two(environment: Environment) -> dict[str, str]:
    """The ids of two executions that two people started and followed at the same time."""
    asked = {"anna": "LearningRate=0.004", "ben": "MaxEvalLoss=0.01"}

    def run(name: str) -> str:
        ended = environment.command(
            "pipeline.run",
            *(_SET if name == "anna" else _SET[:2]),
            *("--set", asked[name], "--token", f"{name}-1", "--follow", "--json"),
            role=environment.person(name),
        )
        assert ended.stdout, ended.stderr
        return str(json.loads(ended.stdout)["arn"]).rsplit("/", 1)[-1]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(asked, pool.map(run, asked), strict=True))


def document(environment: Environment, *words: str, name: str) -> Any:
    found = environment.command(*words, "--json", role=environment.person(name))
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_each_persons_run_is_listed_with_what_they_asked(
    environment: Environment, two: dict[str, str]
) -> None:
    everyone = document(environment, "pipeline.runs", name="anna")["runs"]
    assert {two["anna"], two["ben"]} <= {run["id"] for run in everyone}
    (anna,) = document(environment, "pipeline.runs", "--who", "anna", name="ben")["runs"]
    (ben,) = document(environment, "pipeline.runs", "--who", "ben", name="anna")["runs"]
    assert (anna["id"], anna["status"]) == (two["anna"], "Succeeded")
    assert (ben["id"], ben["status"], ben["version"]) == (two["ben"], "Rejected", None)
    assert anna["version"] is not None
    assert anna["differs"]["LearningRate"] == "0.004"
    assert "LearningRate" not in ben["differs"]
    assert ben["differs"]["MaxEvalLoss"] == "0.01"


def test_who_started_a_run_does_not_approve_it(
    environment: Environment, two: dict[str, str]
) -> None:
    (run,) = document(environment, "pipeline.runs", "--who", "anna", name="ben")["runs"]
    version = f"{run['model']}@{run['version']}"
    words = ("pipeline.approve", "--model", version, "--alias", "reviewed", "--reason", "mine")
    refused = environment.command(*words, role=environment.person("anna", "approver"))
    assert refused.returncode == 1
    assert "an approval by another person" in refused.stderr


@pytest.mark.parametrize("step", ["Prepare", "Train"])
def test_the_log_of_each_run_has_its_own_lines_only(
    environment: Environment, two: dict[str, str], step: str
) -> None:
    for name, other in (("anna", "ben"), ("ben", "anna")):
        log = environment.command("pipeline.logs", two[name], step, role=environment.person(name))
        assert log.returncode == 0, log.stderr
        ours = [line for line in log.stdout.splitlines() if f" {two[name]} " in line]
        assert len(ours) > 3
        assert two[other] not in log.stdout


def test_both_are_compared_with_their_samples_also_the_rejected_one(
    environment: Environment, two: dict[str, str], tmp_path: Path
) -> None:
    words = ("pipeline.compare", two["anna"], two["ben"])
    rows = {row["name"]: row for row in document(environment, *words, name="ben")["rows"]}
    assert rows["status"]["values"] == ["Succeeded", "Rejected"]
    assert rows["LearningRate"]["values"][0] == "0.004"
    assert all(text not in ("–", "") for text in rows["tuned"]["values"])
    assert rows["eval loss"]["differs"]
    page = tmp_path / "compare.html"
    made = environment.command(*words, "--html", str(page), role=environment.person("anna"))
    assert made.returncode == 0, made.stderr
    assert two["ben"] in page.read_text()


def test_each_has_a_page_of_their_run_also_the_rejected_one(
    environment: Environment, two: dict[str, str], tmp_path: Path
) -> None:
    parts = {"anna": "registered as edgar.models", "ben": "is not within MaxEvalLoss"}
    for name, part in parts.items():
        file = tmp_path / f"{name}.html"
        made = environment.command(
            "pipeline.report",
            *("--execution", two[name], "--out", str(file)),
            role=environment.person(name),
        )
        assert made.returncode == 0, made.stderr
        text = file.read_text()
        assert part in text
        assert len(text.encode()) < 1.5e6
        for title in ("Bill", "Data", "Lengths", "Training", "Base against tuned", "Lineage"):
            assert f"<h2>{title}</h2>" in text
        assert "could not be read" not in text
        assert "<svg" in text.partition("<h2>Lineage</h2>")[2]


def test_a_registered_run_has_links_and_the_page_that_register_wrote(
    environment: Environment, two: dict[str, str], tmp_path: Path
) -> None:
    (anna,) = document(environment, "pipeline.runs", "--who", "anna", name="ben")["runs"]
    for name in ("report_url", "model_url", "run_url"):
        assert requests.get(anna[name], timeout=60).status_code == 200
    file = tmp_path / "registered.html"
    words = ("--registered", "--out", str(file), "--execution")
    role = environment.person("ben")
    made = environment.command("pipeline.report", *words, anna["id"], role=role)
    assert made.returncode == 0, made.stderr
    text = file.read_text()
    for part in ("registered as edgar.models", "<h2>Training</h2>", "<h2>Base against tuned</h2>"):
        assert part in text
    ben = environment.command("pipeline.report", *words, two["ben"], role=role)
    assert ben.returncode == 1
    assert "expected an execution that Register has registered" in ben.stderr


def test_a_plan_estimates_from_earlier_runs_and_starts_nothing(
    environment: Environment, two: dict[str, str]
) -> None:
    before = {run["id"] for run in document(environment, "pipeline.runs", name="anna")["runs"]}
    plan = document(environment, "pipeline.run", *_SET, "--plan", name="anna")
    assert plan["expected"]["of"] in before
    assert plan["expected"]["seconds"]["Train"] > 0
    assert plan["expected"]["prompts_cut_share"] > 0.2
    assert plan["expected"]["dollars"] > 0
    assert plan["differs"] == {"MaxSteps": "3", "MaxEvalLoss": "7.5"}
    after = {run["id"] for run in document(environment, "pipeline.runs", name="ben")["runs"]}
    assert after == before


def test_the_rejected_rows_are_shown_to_who_may_read_them(
    environment: Environment, two: dict[str, str]
) -> None:
    words = ("pipeline.rejected", two["ben"], "--json")
    anna = environment.command(*words, role=environment.person("anna"))
    assert anna.returncode == 1
    assert "EXTERNAL USE SCHEMA on schema edgar.curated" in anna.stderr
    assert "SELECT reason, source_filing" in anna.stderr
    counted = json.loads(anna.stdout)
    assert "rows" not in counted
    auditor = environment.command(*words, "--as", "auditor", role=environment.auditor)
    assert auditor.returncode == 0, auditor.stderr
    shown = json.loads(auditor.stdout)
    assert shown["reasons"] == counted["reasons"]
    assert len(shown["rows"]) == 20
    assert all(row["reason"] in counted["reasons"] for row in shown["rows"])
    assert "detail" not in shown["rows"][0]


def test_one_stops_their_run_and_another_continues_it(environment: Environment) -> None:
    anna, ben = environment.person("anna"), environment.person("ben")
    started = environment.command("pipeline.run", *_SET, role=anna)
    run = started.stdout.strip().rsplit("/", 1)[-1]
    wait_for(lambda: "Prepare" in environment.steps(started.stdout.strip()))
    stopped = environment.command("pipeline.stop", run, "--follow", role=anna)
    assert stopped.returncode == 0, stopped.stderr
    assert environment.status(started.stdout.strip()) == "Stopped"
    again = environment.command("pipeline.stop", run, role=anna)
    assert again.returncode == 1
    assert "it cannot be stopped" in again.stderr
    continued = environment.command("pipeline.retry", run, "--follow", "--json", role=ben)
    assert continued.returncode == 0, continued.stderr
    assert json.loads(continued.stdout)["status"] == "Succeeded"
