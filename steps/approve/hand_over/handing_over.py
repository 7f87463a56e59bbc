"""Let a package in SageMaker's own registry repeat what the ledger has about a version.

    handing_over = HandingOver(group, image="…@sha256:…", evidence_uri="s3://…/executions")
    arn = handing_over.follow(recorded, decided)

It comes after the ledger's entry and the alias: a package is never approved before the evidence has
the decision. The status follows from all decisions about the version, which are read again after it
was set, since somebody else may have decided meanwhile. A crash leaves a package that waits, or the
status of before; the same command again, or a reconciliation that rejects, completes it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from steps.approve.arguments import Arguments
from steps.approve.decisions import Decision
from steps.approve.hand_over import content
from steps.approve.recorded import Recorded
from steps.governance.documents import model_package
from steps.governance.errors import Conflict, IntegrityError
from steps.governance.model_packages.group import Package, PackageGroup

_TRIES = 5  # while others decide about the same version


@dataclass(frozen=True)
class HandingOver:
    """The packages of one group; `image` serves those that are made from now on."""

    group: PackageGroup
    image: str
    evidence_uri: str

    @classmethod
    def of(cls, arguments: Arguments) -> "HandingOver | None":
        """Return the packages that conf asks for, or None."""
        name, image = arguments.model_package_group, arguments.serving_image
        if name is None or image is None:
            return None
        return cls(PackageGroup(arguments.region, name), image, arguments.evidence_uri)

    def follow(self, recorded: Recorded, decided: Callable[[], list[Decision]]) -> str | None:
        """Give the version's package its status; return its ARN.

        A version that is not approved and has no package gets none: None.

        Args:
            recorded: the version's verified record.
            decided: returns the decisions that the ledger has, in its order.

        Raises:
            IntegrityError: somebody else made or changed the package.
            Conflict: it was made for another image than conf names.
        """
        for _ in range(_TRIES):
            made = decided()
            given = [(each.key, each.approval) for each in made]
            status, deciding = model_package.standing(given)
            package = self._package(recorded, approved=status == model_package.APPROVED)
            if package is None:
                return None
            reason = model_package.reason(*deciding)
            if (package.status, package.reason) != (status, reason):
                self.group.decide(package.arn, status, reason)
            if [each.key for each in decided()] == [each.key for each in made]:
                return package.arn
        raise Conflict(
            f"{recorded.record.model.name}@{recorded.record.model.version} is decided about all "
            "the time",
            do="run the same command again",
        )

    def _package(self, recorded: Recorded, *, approved: bool) -> Package | None:
        record = recorded.record
        beginning = model_package.beginning(
            record.model.name, version=record.model.version, record_sha256=recorded.sha256
        )
        if not approved:  # it is closed, with any content
            arn = self.group.find(beginning)
            return None if arn is None else self.group.ready(arn)
        request = content.request(recorded, image=self.image, evidence_uri=self.evidence_uri)
        package = self.group.ready(self.group.made(request, beginning))
        self._require_ours(package, recorded)
        return package

    def _require_ours(self, package: Package, recorded: Recorded) -> None:
        expected = (
            model_package.metadata(recorded.record, recorded.sha256),
            (recorded.record.artifact.uri,),
        )
        described = model_package.parsed(package.subject)
        own_image = described[3] if described else "no image"
        if (package.metadata, package.archives) != expected or package.images != (own_image,):
            raise IntegrityError(
                f"{package.arn} is not what the record describes",
                expected=f"{expected[1][0]} served by {own_image}, with the record's metadata",
                got=f"{package.archives} served by {package.images}, changed by "
                f"{package.changed_by or 'nobody named'}"[:400],
                do="find out who did; an administrator deletes the package, then approve again",
            )
        if own_image != self.image:
            raise Conflict(
                f"{package.arn} was made for another image",
                expected=f"register.serving_image: {self.image}",
                got=own_image,
                do="an administrator deletes the package, then the same command makes another one",
            )
