"""Kinds of tampering in SageMaker's own registry, and the packages of a whole history."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steps.approve.hand_over import content
from steps.approve.recorded import Recorded
from steps.audit.context import Context, Services
from steps.audit.services.jobs import Jobs
from steps.audit.services.store import Store
from steps.governance.documents import model_package
from steps.governance.documents.record import Record
from tests.steps.audit.support.tampering import Applied, Tamper
from tests.steps.audit.support.world import REGION, Entry, World
from tests.support.package_registry import GROUP

IMAGE = "example/server@sha256:" + "9" * 64
SETTINGS = {"model_package_group": GROUP}
MALLORY = "MALLORYS-KEY"
Change = Callable[[World, str], None]  # of the package with this ARN
_Decided = dict[tuple[str, int], list[model_package.Decided]]


def call(world: World, action: str, key: str = "", **request: Any) -> dict[str, Any]:
    """One call of the registry."""
    registry = world.environment.stub.packages
    registry.users[MALLORY] = "mallory"
    return registry.call(action, request, key)


def decided(world: World) -> _Decided:
    """All decisions by version, in the ledger's order."""
    services: Any = Services(Store.connect(REGION), Jobs(REGION), None)  # type: ignore[arg-type]
    ledger = Context(world.settings(), services).ledger
    found: _Decided = {}
    for stored in ledger.entries:
        assert stored.entry is not None
        if approval := ledger.approvals.get(stored.entry.document):
            version = (approval.model, approval.version)
            found.setdefault(version, []).append((stored.entry.document, approval))
    return found


@contextmanager
def handed_over(world: World) -> Iterator[dict[tuple[str, int], str]]:
    """A package of each version with a decision, by version, as approvers made and decided it."""
    made = {}
    for version, given in decided(world).items():
        status, (key, approval) = model_package.standing(given)
        record = Record.from_bytes(world.read(approval.record), origin="test")
        recorded = Recorded(approval.record, approval.record_sha256, record)
        request = content.request(recorded, image=IMAGE, evidence_uri="s3://e/executions")
        answer = call(world, "CreateModelPackage", ModelPackageGroupName=GROUP, **request)
        made[version] = arn = answer["ModelPackageArn"]
        reason = model_package.reason(key, approval)
        decides(status, ApprovalDescription=reason)(world, arn)
    try:
        yield made
    finally:
        for each in world.environment.stub.packages.packages():
            call(world, "DeleteModelPackage", ModelPackageName=each["ModelPackageArn"])


def decides(status: str, **more: Any) -> Change:
    def change(world: World, arn: str) -> None:
        request = {"ModelPackageArn": arn, "ModelApprovalStatus": status, **more}
        call(world, "UpdateModelPackage", MALLORY, **request)

    return change


def changes(**given: Any) -> Change:
    return lambda world, arn: void(call(world, "UpdateModelPackage", ModelPackageArn=arn, **given))


def void(_: object) -> None:
    """Drop an answer."""


def deletes(world: World, arn: str) -> None:
    call(world, "DeleteModelPackage", ModelPackageName=arn)


def repeats(world: World, arn: str) -> None:
    """A second package of the same version."""
    first = call(world, "DescribeModelPackage", ModelPackageName=arn)
    names = ("ModelPackageDescription", "InferenceSpecification", "CustomerMetadataProperties")
    copied = {name: first[name] for name in names}
    more = {"ModelPackageGroupName": GROUP, "ModelApprovalStatus": "Approved"}
    call(world, "CreateModelPackage", MALLORY, **copied, **more)


def intrudes(status: str, description: str = "mine") -> Change:
    def change(world: World, arn: str) -> None:
        request = {"ModelPackageGroupName": GROUP, "ModelPackageDescription": description}
        call(world, "CreateModelPackage", MALLORY, ModelApprovalStatus=status, **request)

    return change


def served(image: str, archive: str = "") -> Change:
    def change(world: World, arn: str) -> None:
        first = call(world, "DescribeModelPackage", ModelPackageName=arn)
        url = archive or first["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        containers = [{"Image": image, "ModelDataUrl": url}]
        changes(InferenceSpecification={"Containers": containers})(world, arn)

    return change


def _spoilt(change: Change) -> Callable[[World, Entry], Applied]:
    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        with handed_over(world) as made:
            change(world, made[entry.record.model.name, entry.record.model.version])
            yield SETTINGS

    return apply


_FORGED = f"edgar.models.analyst@2, record {'0' * 64}, image {IMAGE}"
PACKAGES = [
    Tamper(f"package: {name}", "packages.status", _spoilt(change))
    for name, change in (
        ("rejected", decides("Rejected")),
        ("pending", decides("PendingManualApproval")),
        ("another reason", decides("Approved", ApprovalDescription="because")),
        ("deleted", deletes),
        ("another image", served("example/evil@sha256:" + "6" * 64)),
        ("another archive", served(IMAGE, "s3://evil/model.tar.gz")),
        ("metadata", changes(CustomerMetadataProperties={"governed_finetune.version": "7"})),
    )
] + [
    Tamper(f"package: {name}", "packages.decided", _spoilt(change))
    for name, change in (
        ("without a decision", intrudes("Approved")),
        ("waiting without a decision", intrudes("PendingManualApproval")),
        ("of another record", intrudes("Approved", _FORGED)),
        ("a second one", repeats),
    )
]
