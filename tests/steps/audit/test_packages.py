"""The audit of SageMaker's own registry: clean where it repeats the evidence; who changed it."""

from typing import Any

from steps.audit.findings import Finding, Outcome, exit_code
from steps.audit.report.text import as_text
from tests.steps.audit.support.packages import SETTINGS, call, decides, handed_over, intrudes
from tests.steps.audit.support.world import World, codes


def lines(world: World, **changed: Any) -> dict[str, Finding]:
    findings = world.audit(**(SETTINGS | changed))
    return {each.code: each for each in findings if each.code.startswith("packages.")}


def test_packages_that_repeat_the_evidence_are_clean(world: World) -> None:
    with handed_over(world) as made:
        assert len(made) >= 2
        findings = world.audit(**SETTINGS)
        assert exit_code(findings) == 0, as_text(findings)
        assert {each.outcome for each in lines(world).values()} == {Outcome.OK}


def test_without_a_group_nothing_is_asked(world: World) -> None:
    assert not [each for each in world.audit() if each.code.startswith("packages.")]


def test_a_changed_status_names_who_and_when(world: World) -> None:
    entry = world.entries[2].record.model
    with handed_over(world) as made:
        decides("Rejected")(world, made[entry.name, entry.version])
        found = lines(world)["packages.status"]
    assert found.outcome is Outcome.MISMATCH
    assert "Approved" in found.expected
    assert "Rejected, changed by arn:aws:iam::000000000000:user/mallory at 20" in found.found


def test_a_foreign_package_is_a_mismatch_until_it_is_rejected(world: World) -> None:
    with handed_over(world):
        intrudes("Approved")(world, "")
        found = lines(world)["packages.decided"]
        assert found.outcome is Outcome.MISMATCH
        assert "(Approved) by arn:aws:iam::000000000000:user/mallory" in found.found
        newest = world.environment.stub.packages.packages()[-1]["ModelPackageArn"]
        decides("Rejected")(world, newest)
        found = lines(world)["packages.decided"]
        assert (found.outcome, "1 rejected" in found.expected) == (Outcome.OK, True)


def test_a_revoked_version_needs_no_package_and_an_approved_one_does(world: World) -> None:
    with handed_over(world) as made:
        for arn in made.values():
            call(world, "DeleteModelPackage", ModelPackageName=arn)
        found = lines(world)["packages.status"]
    assert found.outcome is Outcome.MISMATCH
    assert "package of edgar.models.analyst@2 Approved" in found.expected
    assert "edgar.models.analyst@3" not in found.expected


def test_an_absent_group_is_a_mismatch(world: World) -> None:
    findings = world.audit(model_package_group="nowhere")
    assert codes(findings) == {"packages.decided", "packages.status"}
