"""A configuration with any placeholder is refused by upsert."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import command, upsert
from pipeline.configuration import config
from pipeline.configuration.fields import PLACEHOLDER_KEY
from pipeline.deployment import deploy, placeholders
from pipeline.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"
DIGEST = "sha256:" + "5e" * 32
KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{}=="
REAL = {
    "aws.account_id": "714305829164",
    "databricks.host": "https://dbc-1a2b3c4d-5e6f.cloud.databricks.com",
    "prepare.application_id": "00f1r3g8h2j4k601",
    "prepare.image": DIGEST,
    "train.image": DIGEST,
    "train.base_model_revision": "0123456789abcdef0123456789abcdef01234567",
    "register.image": DIGEST,
    "register.databricks_client_id": "1f0c4b2a-7d3e-4c5f-8a9b-0c1d2e3f4a5b",
    "evidence.signing_public_key": KEY.format("B" * 86),
    "evidence.approval_public_key": KEY.format("C" * 86),
}
ZEROS = {
    "prepare.application_id": "0000000dev000000",
    "prepare.image": f"sha256:{'0' * 64}",
    "train.image": f"sha256:{'0' * 64}",
    "train.base_model_revision": "0" * 40,
    "register.image": f"sha256:{'0' * 64}",
    "register.databricks_client_id": "00000000-0000-0000-0000-000000000000",
    "evidence.signing_public_key": PLACEHOLDER_KEY,
    "evidence.approval_public_key": PLACEHOLDER_KEY,
    "databricks.host": "https://dbc-00000000-0001.cloud.databricks.com",
}
OTHERS = [
    *ZEROS.items(),
    *(("aws.account_id", account) for account in ("000000000000", "111111111111", "123456789012")),
    ("evidence.approvers_group", "REPLACE-ME"),
    ("evidence.approval_tag", "todo"),
    ("pipeline.tags.owner", "replace this"),
    ("pipeline.tags.owner", "<team>"),
    ("pipeline.tags.owner", "team@example.com"),
    ("openlineage", {"transport": "http", "url": "https://lineage.example.com/api/v1/lineage"}),
]


def made(changes: dict[str, Any], variables: dict[str, str]) -> config.Config:
    """conf/prod.yaml with other values, by key path."""
    raw = yaml.safe_load((CONF / "prod.yaml").read_text())
    for path, value in changes.items():
        *sections, key = path.split(".")
        section = raw
        for name in sections:
            section = section[name]
        section[key] = value
    return config.parse(yaml.safe_dump(raw), "prod", variables)


def test_real_values_are_deployed(variables: dict[str, str]) -> None:
    tags = {"pipeline.tags.owner": "exchange-replacements", "evidence.approval_tag": "Approval"}
    deploy.refuse_placeholders(made(REAL | tags, variables))


@pytest.mark.parametrize(("path", "value"), OTHERS)
def test_each_placeholder_is_refused_alone(
    path: str, value: object, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        deploy.refuse_placeholders(made({**REAL, path: value}, variables))
    found = {name for name, _ in caught.value.faults}
    assert found == {"openlineage.url" if path == "openlineage" else path}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_files_of_the_repository_name_every_value_to_fill_in(
    environment: str, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        deploy.refuse_placeholders(config.load(environment, environ=variables))
    assert {path for path, _ in caught.value.faults} == REAL.keys()


def test_upsert_refuses_before_it_calls_anything(
    service: Any,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: Callable[..., config.Config] = lambda *_: made(  # noqa: E731
        REAL | {"aws.account_id": "000000000000"}, variables
    )
    monkeypatch.setattr(config, "load", loaded)
    assert command.ended(upsert.main, ["--env", "prod"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "aws.account_id is a placeholder; give the real one" in shown
    assert service.calls == []


@pytest.mark.parametrize("word", ["/tbd+", "+TODO/", "/Fill+", "/xxxx+"])
def test_a_key_in_which_chance_wrote_a_word_is_a_key(word: str) -> None:
    key = KEY.format(word + "B" * (86 - len(word)))
    assert placeholders.faults({"evidence": {"signing_public_key": key}}, environment="dev") == []
    assert placeholders.faults({"pipeline": {"description": word}}, environment="dev")
