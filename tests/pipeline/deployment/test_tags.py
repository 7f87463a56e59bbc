"""An upsert writes the tags of conf, removes those that conf no longer has, and keeps others."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline import command, upsert
from pipeline.configuration import config
from pipeline.deployment import deploy, provenance, tagging
from pipeline.errors import Refused

COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def at_one_commit(monkeypatch: pytest.MonkeyPatch, compiled: str) -> None:
    monkeypatch.setattr(upsert, "_compiled", lambda _: compiled)
    monkeypatch.setattr(provenance, "commit", lambda: COMMIT)


def with_tags(configured: config.Config, **tags: str) -> config.Config:
    named = {key.replace("_", "-"): value for key, value in tags.items()}
    return replace(configured, pipeline=replace(configured.pipeline, tags=named))


def tags_of(service: Any) -> dict[str, str]:
    """The configured part of the pipeline's tags."""
    [tags] = service.tags.values()
    origin = {provenance.COMMIT, provenance.CONFIG, provenance.DEFINITION, provenance.CONFIGURED}
    return {key: value for key, value in tags.items() if key not in origin}


def deployed(configured: config.Config, client: Any, compiled: str) -> deploy.Deployed:
    return deploy.deploy(configured, client, compiled)


def test_a_tag_that_conf_no_longer_has_is_removed_and_those_of_others_stay(
    service: Any, configured: config.Config, client: Any, compiled: str
) -> None:
    deployed(with_tags(configured, project="x", cost_centre="42", owner="me"), client, compiled)
    [arn] = service.tags
    service.tags[arn] |= {"aws:cloudformation:stack-name": "s", "security-scan": "done"}
    done = deployed(with_tags(configured, project="y"), client, compiled)
    assert (done.action, done.tags_removed) == ("tagged", ("cost-centre", "owner"))
    assert tags_of(service) == {
        "project": "y",
        "aws:cloudformation:stack-name": "s",
        "security-scan": "done",
    }
    service.calls.clear()
    again = deployed(with_tags(configured, project="y"), client, compiled)
    assert (again.action, again.tags_removed) == ("unchanged", ())
    assert not {"AddTags", "DeleteTags"} & set(service.calls)


def test_a_tag_of_another_tool_that_conf_then_has_belongs_to_conf(
    service: Any, configured: config.Config, client: Any, compiled: str
) -> None:
    deployed(with_tags(configured, project="x"), client, compiled)
    [arn] = service.tags
    service.tags[arn]["owner"] = "somebody"
    deployed(with_tags(configured, project="x", owner="us"), client, compiled)
    assert tags_of(service) == {"project": "x", "owner": "us"}
    deployed(with_tags(configured, project="x"), client, compiled)
    assert tags_of(service) == {"project": "x"}


def test_without_a_record_the_tags_that_the_definition_gave_its_jobs_are_removed(
    service: Any, configured: config.Config, client: Any, compiled: str
) -> None:
    deployed(configured, client, compiled)
    [arn] = service.tags
    service.tags[arn] = {"project": "governed-finetune", "environment": "local", "team": "others"}
    done = deployed(with_tags(configured, environment="local"), client, compiled)
    assert done.tags_removed == ("project",)
    assert tags_of(service) == {"environment": "local", "team": "others"}


def test_a_removal_that_failed_is_repeated(
    service: Any, configured: config.Config, client: Any, compiled: str
) -> None:
    deployed(with_tags(configured, project="x", owner="me"), client, compiled)
    service.deny(
        "DeleteTags", "AccessDeniedException", "not authorized to perform: sagemaker:DeleteTags"
    )
    with pytest.raises(Refused, match=r"DeleteTags .* was refused by AWS: AccessDeniedException"):
        deployed(with_tags(configured, project="x"), client, compiled)
    service.refuse.clear()
    assert deployed(with_tags(configured, project="x"), client, compiled).tags_removed == ("owner",)


def test_the_difference_shows_added_changed_and_removed_tags_and_exits_3(
    service: Any,
    configured: config.Config,
    client: Any,
    compiled: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployed(with_tags(configured, project="old", cost_centre="42"), client, compiled)
    [arn] = service.tags
    service.tags[arn]["security-scan"] = "done"
    assert command.ended(upsert.main, ["--env", "local", "--diff"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["--- deployed: tags", "+++ compiled: tags"]
    changed = {line.replace(",", "") for line in lines[2:] if line[0] in "+-"}
    assert changed == {
        '-  "cost-centre": "42"',
        '-  "project": "old"',
        '+  "environment": "local"',
        '+  "project": "governed-finetune"',
    }
    assert not {"AddTags", "DeleteTags", "UpdatePipeline"} & set(service.calls[2:])
    assert command.ended(upsert.main, ["--env", "local"]) == 0
    assert "tag removed        cost-centre\n" in capsys.readouterr().out
    assert command.ended(upsert.main, ["--env", "local", "--diff"]) == 0


def test_another_commit_alone_is_not_a_difference(
    service: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.ended(upsert.main, ["--env", "local", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tags_removed"] == []
    monkeypatch.setattr(provenance, "commit", lambda: "f" * 40)
    assert command.ended(upsert.main, ["--env", "local", "--diff"]) == 0


def test_the_record_of_the_most_tags_fits_one_tag(configured: config.Config, compiled: str) -> None:
    many = with_tags(configured, **{f"key_{number}": "x" for number in range(36)})
    assert len(provenance.tags(many, compiled)[provenance.CONFIGURED]) <= 256


def test_a_tag_of_aws_is_not_a_change() -> None:
    assert not tagging.needed({"a": "1", "aws:x": "2"}, {"a": "1"}, deployed=None)
