"""The contract of one run: its profile, the run it is compared with, and every check's result.

run = compared(curated, execution_arn, recorded)       # before anything is committed
agreement = agreed(profile, run, arguments)
agreement.broken                                       # then nothing may be committed
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.governance.documents.manifest import Contract, ContractCheck
from steps.governance.errors import GovernanceError
from steps.prepare.arguments import Arguments
from steps.prepare.bounds import allowed
from steps.prepare.contract import checks, earlier_runs
from steps.prepare.contract.profile import Profile
from steps.prepare.delta.store import Place

log = logging.getLogger(__name__)

NO_RUN = "none"


@dataclass(frozen=True)
class Run:
    """The run that a table's version is of; both None for a table without one."""

    version: int | None = None
    profile: Profile | None = None

    @property
    def name(self) -> str:
        """What a commit records of it: the version, or none."""
        return NO_RUN if self.version is None else str(self.version)


@dataclass(frozen=True)
class Agreement:
    """The result of all checks."""

    profile: Profile
    run: Run
    checks: list[ContractCheck]

    @property
    def broken(self) -> list[ContractCheck]:
        """The checks that are out of their bounds."""
        return checks.broken(self.checks)

    @property
    def record(self) -> Contract:
        """The part of the manifest."""
        return Contract(compared_with=self.run.version, checks=self.checks)

    def error(self, where: str) -> GovernanceError:
        """Return why nothing is committed, with the numbers of every broken check."""
        against = "" if self.run.version is None else f" (compared with version {self.run.name})"
        return GovernanceError(
            f"the run breaks its data contract{against}, no example was written",
            expected="; ".join(_bounds(check) for check in self.broken),
            got="; ".join(f"{check.name} {check.found:g}" for check in self.broken),
            do=f"{where}find out what changed in the raw table; if it is right, widen "
            "prepare.contract in conf and start a new execution",
        )


def agreed(profile: Profile, run: Run, arguments: Arguments, *, overlap: float) -> Agreement:
    """Check a run's profile against its bounds and against the earlier run.

    `overlap` is the share of eval's n-grams that train has too (`steps.prepare.repeats.overlap`).
    """
    source = allowed(str(arguments.raw_table), arguments.sources)
    given = {"source": float(source), "overlap": overlap}
    made = checks.checked(profile, run.profile, arguments.contract, given=given)
    return Agreement(profile, run, made)


def compared(curated: Place, execution_arn: str, recorded: Mapping[str, Any] | None) -> Run:
    """Return the run to compare with: the newest one that the curated table's log has.

    `recorded` is the metadata of a commit of this execution: the same run is used again, so that
    every attempt has the same result although others committed meanwhile. A table with commits and
    without a usable profile is logged: then only the absolute bounds count.
    """
    if recorded is not None and recorded.get("compared_with", NO_RUN) == NO_RUN:
        return Run()
    seen = 0
    for version, metadata in earlier_runs.newest(curated):
        seen += metadata.get("execution_arn") != execution_arn
        if recorded is not None and str(version) != recorded["compared_with"]:
            continue
        found = Profile.parse(metadata.get("profile"))
        if found is not None and metadata.get("execution_arn") != execution_arn:
            return Run(version, found)
    if seen:
        log.warning(
            "the run is compared with no earlier one: none of the newest %d commits of %s by "
            "others has a profile of this build; only the absolute bounds of prepare.contract "
            "count",
            seen,
            curated.name,
        )
    return Run()


def _bounds(check: ContractCheck) -> str:
    if check.most >= checks.UNBOUNDED:
        return f"{check.name} at least {check.least:g}"
    return f"{check.name} {check.least:g} to {check.most:g}"
