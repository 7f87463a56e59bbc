"""Values that follow from environment, account and region: derived, explained, and replaceable."""

import copy
import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from pipeline import command, upsert
from pipeline.configuration import config, derived, explanation
from pipeline.configuration.sections.account import Principal
from pipeline.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"
DIGEST = f"sha256:{'a' * 64}"
GIVEN = f"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{'B' * 85}A=="


def written(environment: str = "dev") -> dict[str, Any]:
    """The file as it is written, without derived values."""
    document: dict[str, Any] = yaml.safe_load((CONF / f"{environment}.yaml").read_text())
    return document


def parsed(document: dict[str, Any], environment: str = "dev") -> config.Config:
    return config.parse(yaml.safe_dump(document), environment, {})


def flat(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {path: node}
    return {
        inner: leaf
        for key, value in node.items()
        for inner, leaf in flat(value, f"{path}.{key}" if path else key).items()
    }


def test_every_derived_value_of_dev() -> None:
    document, found = derived.complete(written(), "dev")
    role = "arn:aws:iam::111111111111:role/governed-finetune-dev"
    repository = "111111111111.dkr.ecr.us-east-1.amazonaws.com/governed-finetune"
    alias = "arn:aws:kms:us-east-1:111111111111:alias/governed-finetune-dev"
    zeros = f"sha256:{'0' * 64}"
    values = flat(document)
    assert {path: values[path] for path in found} == {
        "pipeline.name": "governed-finetune-dev",
        "pipeline.role_arn": f"{role}-pipeline",
        "pipeline.tags.environment": "dev",
        "storage.governed_bucket": "governed-finetune-dev-governed-111111111111-us-east-1",
        "storage.evidence_bucket": "governed-finetune-dev-evidence-111111111111-us-east-1",
        "storage.artifact_bucket": "governed-finetune-dev-artifacts-111111111111-us-east-1",
        "prepare.role_arn": f"{role}-prepare",
        "prepare.curated_root": f"s3://{values['storage.governed_bucket']}/curated",
        "prepare.databricks_secret_id": "governed-finetune-dev/databricks/prepare",
        "prepare.image": f"{repository}/prepare@{zeros}",
        "train.role_arn": f"{role}-train",
        "train.databricks_secret_id": "governed-finetune-dev/databricks/train",
        "train.mlflow_experiment": "/Shared/governed-finetune-dev",
        "train.image": f"{repository}/train@{zeros}",
        "register.role_arn": f"{role}-register",
        "register.queue_url": (
            "https://sqs.us-east-1.amazonaws.com/111111111111/governed-finetune-dev-register"
        ),
        "register.databricks_secret_id": "governed-finetune-dev/databricks/register",
        "register.image": f"{repository}/register@{zeros}",
        "evidence.signing_key_arn": f"{alias}-register",
        "evidence.approval_key_arn": f"{alias}-approval",
        "evidence.approver_secret_id": "governed-finetune-dev/databricks/approver",
        "evidence.auditor_secret_id": "governed-finetune-dev/databricks/auditor",
        "evidence.reconciler_secret_id": "governed-finetune-dev/databricks/reconciler",
        "evidence.scientist_secret_id": "governed-finetune-dev/databricks/scientist",
    }


def test_a_given_value_is_kept() -> None:
    document = written()
    document["pipeline"]["name"] = "mine"
    document["pipeline"]["tags"]["environment"] = "mine"
    document["storage"] = {"governed_bucket": "mine"}
    document["prepare"]["image"] = f"registry.example/mine@{DIGEST}"
    document["train"]["mlflow_experiment"] = None
    document["register"]["queue_url"] = "https://sqs.us-east-1.amazonaws.com/111111111111/mine"
    configured = parsed(document)
    assert configured.pipeline.name == "mine"
    assert configured.pipeline.tags["environment"] == "mine"
    assert configured.storage.governed_bucket == "mine"
    assert (
        configured.storage.evidence_bucket
        == "governed-finetune-dev-evidence-111111111111-us-east-1"
    )
    assert configured.prepare.curated_root == "s3://mine/curated", "it follows the given bucket"
    assert configured.prepare.image == f"registry.example/mine@{DIGEST}"
    assert configured.train.mlflow_experiment is None
    assert configured.register.queue_url.endswith("/111111111111/mine")


def test_giving_every_value_means_the_same_configuration() -> None:
    document, _ = derived.complete(written(), "dev")
    assert derived.complete(document, "dev") == (document, {})
    assert parsed(document) == parsed(written())


@pytest.mark.parametrize(
    ("region", "partition", "domain"),
    [
        ("eu-west-1", "aws", "amazonaws.com"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ],
)
def test_the_region_decides_partition_and_domain(region: str, partition: str, domain: str) -> None:
    document = written()
    document["aws"]["region"] = region
    document["train"]["image"] = DIGEST
    configured = parsed(document)
    assert configured.train.role_arn.startswith(f"arn:{partition}:iam::111111111111:role/")
    assert configured.register.queue_url.startswith(f"https://sqs.{region}.{domain}/")
    assert configured.train.image == (
        f"111111111111.dkr.ecr.{region}.{domain}/governed-finetune/train@{DIGEST}"
    )


@pytest.mark.parametrize(
    ("section", "value", "expected"),
    [
        ("aws", {"region": "us-east-1"}, ["aws.account_id"]),
        ("aws", {"account_id": "1234", "region": "us-east-1"}, ["aws.account_id"]),
        ("aws", {"account_id": 111111111111, "region": "us-east-1"}, ["aws.account_id"]),
        ("aws", {"account_id": "111111111111", "region": "mars"}, ["aws.region"]),
        ("aws", None, ["aws"]),
        ("storage", {"governed_bucket": "a..b"}, ["storage.governed_bucket"]),
    ],
)
def test_a_wrong_source_is_one_fault_and_not_one_for_each_value_that_follows_from_it(
    section: str, value: object, expected: list[str]
) -> None:
    document = written() | {section: value}
    with pytest.raises(ConfigError) as caught:
        parsed(document)
    assert [path for path, _ in caught.value.faults] == expected


def test_a_given_value_that_contradicts_its_source_is_refused() -> None:
    document = written()
    document["train"]["role_arn"] = "arn:aws:iam::999999999999:role/x"
    document["storage"] = {"governed_bucket": "mine"}
    document["prepare"]["curated_root"] = "s3://other/curated"
    with pytest.raises(ConfigError) as caught:
        parsed(document)
    assert list(caught.value.faults) == [
        (
            "train.role_arn",
            "expected a role of account 111111111111 (aws.account_id), got 999999999999",
        ),
        ("prepare.curated_root", "expected a prefix of the governed bucket (s3://mine/…)"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        (
            "signing_key_arn",
            "arn:aws:kms:us-east-1:999999999999:key/1",
            (
                "expected a key in us-east-1:111111111111 (aws.region, aws.account_id), "
                "got us-east-1:999999999999"
            ),
        ),
        (
            "approval_key_arn",
            "arn:aws:kms:eu-west-1:111111111111:alias/mine",
            (
                "expected a key in us-east-1:111111111111 (aws.region, aws.account_id), "
                "got eu-west-1:111111111111"
            ),
        ),
        (
            "approval_key_arn",
            "arn:aws:kms:us-east-1:111111111111:alias/governed-finetune-dev-register",
            "expected another key than evidence.signing_key_arn: who registers must not approve",
        ),
        (
            "approval_public_key",
            GIVEN,
            "expected another key than evidence.signing_public_key: who registers must not approve",
        ),
        (
            "approval_public_key",
            GIVEN[:-4],
            (
                "expected a P-256 public key as kms.GetPublicKey returns it (base64 of the DER), "
                f"got {GIVEN[:-4]!r}"
            ),
        ),
        ("object_lock_days", 0, "expected whole days, 1 … 36500, got 0"),
    ],
)
def test_a_signing_key_of_another_place_or_for_both_purposes_is_refused(
    key: str, value: object, fault: str
) -> None:
    document = written()
    document["evidence"] |= {"signing_public_key": GIVEN, key: value}
    with pytest.raises(ConfigError) as caught:
        parsed(document)
    assert list(caught.value.faults) == [(f"evidence.{key}", fault)]


def test_a_name_of_an_environment_that_no_resource_can_have_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(written(), "Dev")
    assert {"storage.governed_bucket", "storage.evidence_bucket"} <= dict(
        caught.value.faults
    ).keys()


@pytest.mark.parametrize("step", ["prepare", "train", "register"])
def test_an_image_still_needs_a_digest_outside_of_local(step: str) -> None:
    document = written()
    del document[step]["image"]
    with pytest.raises(ConfigError) as caught:
        parsed(document)
    assert list(caught.value.faults) == [(f"{step}.image", "missing; expected an image by digest")]
    document[step]["image"] = "sha256:0123"
    with pytest.raises(ConfigError, match="has no full digest"):
        parsed(document)


def test_the_document_that_was_given_is_not_changed() -> None:
    document = written()
    before = copy.deepcopy(document)
    derived.complete(document, "dev")
    assert document == before


def test_explain_prints_each_value_with_its_origin(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command.ended(upsert.main, ["--env", "local", "--dry-run", "--explain", "--json"]) == 0
    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    values = flat(config.tree(config.load("local", environ=variables)))
    assert rows.keys() >= values.keys()
    assert {path: rows[path]["value"] for path in ("train.role_arn", "train.use_spot")} == {
        "train.role_arn": "arn:aws:iam::000000000000:role/governed-finetune-local-train",
        "train.use_spot": "true",
    }
    assert {path: rows[path]["origin"] for path in rows if "role" in path or "host" in path} == {
        "databricks.host": "conf/local.yaml, $DATABRICKS_HOST",
        **{
            f"{section}.role_arn": "derived from environment, aws.account_id, aws.region"
            for section in ("pipeline", "prepare", "train", "register")
        },
    }
    assert rows["environment"]["origin"] == "--env or $PIPELINE_ENV"
    assert rows["prepare.curated_root"]["origin"] == "derived from storage.governed_bucket"
    assert rows["parameters.Epochs"]["origin"] == "conf/local.yaml"
    assert rows["parameters.Seed"]["origin"] == "default in pipeline/configuration/parameters.py"
    assert rows["parameters.Seed"]["value"] == "17"


def test_explain_names_the_file_for_a_digest_and_derives_its_repository() -> None:
    rows = {row.path: row for row in explanation.rows("dev", environ={})}
    assert rows["train.image"].origin == (
        "conf/dev.yaml; repository derived from aws.account_id, aws.region"
    )
    lines = explanation.table(list(rows.values())).splitlines()
    assert len(lines) == len(rows) > 60
    assert len({line.index(rows[line.split()[0]].origin) for line in lines}) == 1, "a column"


def test_explain_is_for_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.ended(upsert.main, ["--env", "dev", "--explain"]) == 2
    assert "expected --explain together with --dry-run" in capsys.readouterr().err


def test_two_accounts_or_regions_never_share_the_name_of_a_bucket() -> None:
    """Names of buckets are global: the second user would get BucketAlreadyExists."""
    names: set[str] = set()
    for account, region in (("1", "us-east-1"), ("2", "us-east-1"), ("1", "eu-west-1")):
        document = written()
        document["aws"] = {"account_id": account * 12, "region": region}
        storage = derived.complete(document, "dev")[0]["storage"]
        names |= set(storage.values())
    assert len(names) == 9


def test_an_environment_with_too_long_a_name_is_refused_by_the_names_of_its_buckets() -> None:
    document = written()
    with pytest.raises(ConfigError, match=r"artifact_bucket.*S3 bucket"):
        config.parse(yaml.safe_dump(document), "a" * 13, {})


def federated(**client_ids: str) -> dict[str, Any]:
    document = written()
    document["databricks"] |= {"identity": "federated", "client_ids": client_ids}
    return document


def test_a_federated_principal_is_named_by_its_client_id_and_has_no_secret() -> None:
    names = get_args(Principal)
    ids = {name: f"{number:08x}-0000-4000-8000-000000000000" for number, name in enumerate(names)}
    loaded = parsed(federated(**ids))
    evidence = loaded.evidence
    found = {
        "prepare": loaded.prepare.databricks_secret_id,
        "train": loaded.train.databricks_secret_id,
        "register": loaded.register.databricks_secret_id,
        "scientist": evidence.scientist_secret_id,
        "auditor": evidence.auditor_secret_id,
        "approver": evidence.approver_secret_id,
        "reconciler": evidence.reconciler_secret_id,
    }
    assert found == {name: f"federated:{client_id}" for name, client_id in ids.items()}


def test_a_federated_workspace_needs_the_id_of_each_principal() -> None:
    one = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ConfigError) as refused:
        parsed(federated(prepare=one, train="not-an-id"))
    faults = dict(refused.value.faults)
    assert "databricks.client_ids.prepare" not in faults
    assert "a UUID" in faults["databricks.client_ids.train"]
    for name in ("register", "scientist", "auditor", "approver", "reconciler"):
        assert "since databricks.identity is federated" in faults[f"databricks.client_ids.{name}"]


def test_an_identity_that_the_file_states_is_kept() -> None:
    ids = dict.fromkeys(get_args(Principal), "00000000-0000-4000-8000-000000000000")
    document = federated(**ids)
    document["prepare"]["databricks_secret_id"] = "one/of/ours"
    assert parsed(document).prepare.databricks_secret_id == "one/of/ours"
