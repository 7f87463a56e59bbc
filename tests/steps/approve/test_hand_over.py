"""With a group in conf, a package of SageMaker's own registry follows the ledger."""

import json
from typing import Any

import pytest

from steps.approve.hand_over import card, content
from steps.approve.recorded import Recorded
from steps.governance.documents import model_package
from tests.steps.approve.support.approvals import Approvals, Version
from tests.steps.approve.support.dying import KILLED, Dying
from tests.support.package_registry import GROUP

IMAGE = "example/server@sha256:" + "9" * 64
REGISTRY, ALIAS_CALL = "POST SageMaker.", "/api/2.0/mlflow/unity-catalog/registered-models/alias"
HANDS_OVER = {"model_package_group": GROUP, "serving_image": IMAGE}


def decided(
    approvals: Approvals, dying: Dying, version: Version, *flags: str, **changed: str
) -> dict[str, Any] | None:
    """Run the command, and return the version's one package, or None."""
    status, errors, _ = dying.run(version, "alice", *flags, **(HANDS_OVER | changed))
    assert status == 0, errors
    found = approvals.packages(version)
    assert len(found) <= 1
    return found[0] if found else None


def by(package: dict[str, Any] | None) -> tuple[str, str]:
    assert package is not None
    return package["ModelApprovalStatus"], package["ApprovalDescription"].partition(":")[0]


def test_an_approval_makes_a_package_that_the_record_describes(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    package = decided(approvals, dying, version)
    assert package is not None
    record, document = version.record, f"approvals/{version.model}/{version.number}/1.json"
    assert by(package) == ("Approved", document)
    assert package["ApprovalDescription"] == (
        f"{document}: alias champion approved by {approvals.ids['alice']}: it is better"
    )
    assert package["CustomerMetadataProperties"] == {
        "governed_finetune.execution": version.execution,
        "governed_finetune.model": version.model,
        "governed_finetune.version": "1",
        "governed_finetune.record_sha256": record.sha256,
        "governed_finetune.archive_sha256": record.artifact.sha256,
        "governed_finetune.archive_version": record.artifact.version_id,
        "governed_finetune.data": f"{record.curated.table}@{record.curated.version}",
        "governed_finetune.base_model": f"{record.base_model.name}@{record.base_model.revision}",
    }
    (container,) = package["InferenceSpecification"]["Containers"]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, record.artifact.uri)
    (base,) = container["AdditionalModelDataSources"]
    place = f"/base-models/{record.base_model.name}/{record.base_model.revision}/"
    assert base["S3DataSource"]["S3Uri"].endswith(place)
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics["ContentDigest"] == f"sha256:{record.train.manifest_sha256}"
    assert package["MetadataProperties"]["GeneratedBy"] == record.execution.arn
    assert package["MetadataProperties"]["CommitId"] == "a" * 40
    assert json.loads(package["ModelCard"]["ModelCardContent"]) == card.content(record)
    assert package["LastModifiedBy"]["IamIdentity"]["Arn"].endswith("user/alice")


def test_the_package_comes_after_ledger_tag_and_alias(approvals: Approvals, dying: Dying) -> None:
    _, _, calls = dying.run(approvals.new_version(), **HANDS_OVER)
    (alias,) = (n for n, call in enumerate(calls) if call.endswith("POST " + ALIAS_CALL))
    made = [n for n, call in enumerate(calls) if call.startswith(REGISTRY)]
    assert min(made) > alias
    names = ("List", "Create", "Describe", "Update")
    assert [calls[n].removeprefix(REGISTRY) for n in made] == [
        f"{name}ModelPackage{'s' if name == 'List' else ''}" for name in names
    ]
    _, _, without = dying.run(approvals.new_version())
    assert not [call for call in without if "SageMaker" in call]


def test_the_package_follows_revocations_and_new_approvals(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    folder = f"approvals/{version.model}/1"
    for flags, expected in (
        ((), ("Approved", f"{folder}/1.json")),
        ((), ("Approved", f"{folder}/1.json")),
        (("--revoke",), ("Rejected", f"{folder}/2.json")),
        (("--revoke",), ("Rejected", f"{folder}/2.json")),
        ((), ("Approved", f"{folder}/3.json")),
    ):
        assert by(decided(approvals, dying, version, *flags)) == expected


def test_it_stays_approved_while_another_alias_is(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    folder = f"approvals/{version.model}/1"
    decided(approvals, dying, version)
    assert by(decided(approvals, dying, version, alias="shadow"))[1] == f"{folder}/2.json"
    package = decided(approvals, dying, version, "--revoke", alias="shadow")
    assert by(package) == ("Approved", f"{folder}/1.json")
    assert by(decided(approvals, dying, version, "--revoke"))[0] == "Rejected"


def test_a_revocation_makes_no_package(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    assert dying.run(version)[0] == 0  # approved before there was a group
    assert decided(approvals, dying, version, "--revoke") is None


@pytest.mark.parametrize("flags", [(), ("--revoke",)])
def test_after_a_crash_at_a_call_of_the_registry_the_same_command_completes_it(
    approvals: Approvals, dying: Dying, flags: tuple[str, ...]
) -> None:
    def ready() -> Version:
        version = approvals.new_version()
        if flags:
            decided(approvals, dying, version)
        return version

    _, _, calls = dying.run(ready(), "alice", *flags, **HANDS_OVER)
    chosen = [number for number, call in enumerate(calls, 1) if call.startswith(REGISTRY)]
    assert len(chosen) >= 3
    for call in chosen:
        for when in ("before", "after"):
            version = ready()
            assert dying.killed(version, call, when, *flags, **HANDS_OVER)[0] == KILLED
            expected = "Rejected" if flags else "Approved"
            assert by(decided(approvals, dying, version, *flags))[0] == expected


@pytest.mark.parametrize("action", ["CreateModelPackage", "UpdateModelPackage"])
@pytest.mark.parametrize("fault", ["lost", "a page", "ThrottlingException", "InternalFailure"])
def test_a_lost_answer_makes_no_second_package(
    approvals: Approvals, dying: Dying, action: str, fault: str
) -> None:
    stub = approvals.environment.stub
    if fault == "lost":
        stub.lose.append(action)
    elif fault == "a page":
        stub.garble.append(action)
    else:
        stub.refuse.append((action, fault))
    version = approvals.new_version()
    status, errors, _ = dying.run(version, **HANDS_OVER)
    if fault == "InternalFailure" or (action, fault) == ("UpdateModelPackage", "a page"):
        assert (status, approvals.alias(version.model)) == (1, 1), errors
    else:
        assert status == 0, errors
    assert by(decided(approvals, dying, version))[0] == "Approved"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException"])
def test_a_refusal_is_named_and_the_alias_stands(
    approvals: Approvals, dying: Dying, code: str
) -> None:
    approvals.environment.stub.refuse.append(("CreateModelPackage", code))
    version = approvals.new_version()
    status, errors, _ = dying.run(version, **HANDS_OVER)
    assert (status, approvals.alias(version.model)) == (1, 1)
    assert code in errors
    assert f"make a package in {GROUP}" in errors
    assert by(decided(approvals, dying, version))[0] == "Approved"


def test_an_absent_group_is_named(approvals: Approvals, dying: Dying) -> None:
    status, errors, _ = dying.run(
        approvals.new_version(), model_package_group="nowhere", serving_image=IMAGE
    )
    assert status == 1
    assert "nothing there: list the packages of nowhere" in errors
    assert "pipeline.doctor" in errors


def test_what_somebody_else_made_in_advance_is_not_approved(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    recorded = Recorded("", version.record.sha256, version.record)
    other = "example/evil@sha256:" + "6" * 64
    request = content.request(recorded, image=other, evidence_uri="s3://e/executions")
    registry = approvals.environment.stub.packages
    registry.call("CreateModelPackage", {"ModelPackageGroupName": GROUP, **request}, "mallory")
    status, errors, _ = dying.run(version, **HANDS_OVER)
    assert status == 1
    assert "was made for another image" in errors
    (package,) = approvals.packages(version)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"


def test_what_somebody_changed_is_not_approved_again_but_revoked(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    package = decided(approvals, dying, version)
    assert package is not None
    spoilt = {"Containers": [{"Image": "example/evil", "ModelDataUrl": "s3://evil/model.tar.gz"}]}
    approvals.environment.stub.packages.call(
        "UpdateModelPackage",
        {"ModelPackageArn": package["ModelPackageArn"], "InferenceSpecification": spoilt},
        "mallory",
    )
    status, errors, _ = dying.run(version, **HANDS_OVER)
    assert status == 1
    assert "is not what the record describes" in errors
    assert "user/somebody" in errors
    assert by(decided(approvals, dying, version, "--revoke"))[0] == "Rejected"


@pytest.mark.parametrize("given", list(HANDS_OVER))
def test_group_and_image_are_given_together(approvals: Approvals, dying: Dying, given: str) -> None:
    version = approvals.new_version()
    status, errors, _ = dying.run(version, **{given: HANDS_OVER[given]})
    assert (status, approvals.documents(version)) == (2, [])
    (missing,) = set(HANDS_OVER) - {given}
    assert f"--{missing.replace('_', '-')} is missing" in errors


def test_a_reason_is_cut_to_what_the_registry_takes(approvals: Approvals, dying: Dying) -> None:
    package = decided(approvals, dying, approvals.new_version(), reason="x" * 1000)
    assert package is not None
    assert len(package["ApprovalDescription"]) == 1024
    assert package["ApprovalDescription"].endswith("x…")


@pytest.mark.sdk
def test_the_card_has_the_fields_of_sagemakers_schema_only(approvals: Approvals) -> None:
    from sagemaker.core.shapes.model_card_shapes import ModelCardContent

    made = card.content(approvals.new_version().record)
    read = ModelCardContent.model_validate(made).model_dump(mode="json", exclude_unset=True)
    assert read == made


def test_a_description_names_what_its_package_is_of() -> None:
    text = model_package.subject("a.b.c", version=3, record_sha256="0" * 64, image=IMAGE)
    assert model_package.parsed(text) == ("a.b.c", 3, "0" * 64, IMAGE)
    for other in ("", "a.b.c@3", f"{text} more", text.replace("@3", "@03")):
        assert model_package.parsed(other) is None
