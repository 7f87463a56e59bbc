"""The templates of docs/ci: code that is not reviewed yet gets no right to deploy or administer."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
GITHUB = (FOLDER / "github-actions.yml").read_text(encoding="utf-8")
GITLAB = (FOLDER / "gitlab-ci.yml").read_text(encoding="utf-8")
PULL_REQUEST, PUSH = "github.event_name == 'pull_request'", "github.event_name == 'push'"
READ, CI, ADMIN = "AWS_READ_ROLE", "AWS_CI_ROLE", "AWS_ADMIN_ROLE"


def role(job: dict[str, Any]) -> str:
    (found,) = {name for name in (READ, CI, ADMIN) if name in str(job)}
    return found


def test_on_github_a_pull_request_reads_and_only_main_deploys_and_administers() -> None:
    jobs = yaml.safe_load(GITHUB)["jobs"]
    signed_in = {name: job for name, job in jobs.items() if "id-token" in str(job)}
    assert {name: (job["if"], role(job)) for name, job in signed_in.items()} == {
        "difference": (PULL_REQUEST, READ),
        "doctor": (PUSH, ADMIN),
        "deploy": (PUSH, CI),
    }
    assert len({job["environment"] for job in signed_in.values()}) == 3, "one subject per role"


def test_on_gitlab_a_merge_request_reads_and_only_main_deploys_and_administers() -> None:
    jobs = yaml.safe_load(GITLAB)
    signed_in = {
        name: job
        for name, job in jobs.items()
        if isinstance(job, dict) and "id_tokens" in job and not name.startswith(".")
    }
    rules = {"main": jobs[".of-main"], "merge request": jobs[".of-a-merge-request"]}
    assert {name: (job["rules"], role(job)) for name, job in signed_in.items()} == {
        "difference": (rules["merge request"], READ),
        "doctor": (rules["main"], ADMIN),
        "deploy": (rules["main"], CI),
    }
    assert "DATABRICKS_OIDC_TOKEN" in signed_in["doctor"]["id_tokens"]
    assert "DATABRICKS" not in str(signed_in["difference"])


def test_each_variable_is_explained_and_no_job_moves_an_alias() -> None:
    for text in (GITHUB, GITLAB):
        header = "".join(line for line in text.splitlines(True) if line.startswith("#"))
        for name in (READ, CI, ADMIN, "DATABRICKS_CLIENT_ID"):
            assert name in header
        assert "main" in header
        body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
        assert "pipeline.upsert\n" in body
        assert "--alias" not in body
