"""Without any one check, a tampering that the audit finds is found no more.

Which check is the only finder of which kind comes from audits of this run, with all checks. Each
check of the registry is then taken out of it, and its kind is audited again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from steps.audit import audit, order
from steps.audit.findings import Finding, exit_code
from steps.audit.order import CODES
from tests.steps.audit.support.kinds import KINDS
from tests.steps.audit.support.tampering import Tamper
from tests.steps.audit.support.world import World, codes
from tests.steps.audit.test_tampering import INFORMATION

GROUPS = ("LEDGER", "RECORD", "WHOLE", "MODEL")


def audited(world: World, tamper: Tamper) -> list[Finding]:
    entry = world.entries[2]
    with tamper.apply(world, entry) as settings:
        return world.audit(**({"target": entry.target} | tamper.settings | settings))


def only_finders(world: World) -> dict[str, Tamper]:
    """For each check a kind of which it has the only mismatch, as far as there is one."""
    found: dict[str, Tamper] = {}
    for tamper in KINDS:
        if tamper.code not in found:  # one for each check is enough
            mismatches = codes(audited(world, tamper))
            if len(mismatches) == 1:
                found.setdefault(mismatches.pop(), tamper)
    return found


@contextmanager
def without(code: str) -> Iterator[None]:
    """The registry of checks without one of them."""
    with pytest.MonkeyPatch.context() as patch:
        for group in GROUPS:
            kept = tuple(check for check in getattr(order, group) if check.code != code)
            patch.setattr(audit, group, kept)
        yield


def test_the_groups_are_the_whole_registry() -> None:
    assert tuple(check.code for group in GROUPS for check in getattr(order, group)) == CODES


@pytest.mark.long
@pytest.mark.timeout(3000)  # over a hundred audits, on a machine that others may load
def test_without_any_one_check_a_tampering_is_not_found(world: World) -> None:
    finders = only_finders(world)
    assert finders.keys() == set(CODES) - INFORMATION
    still = {}
    for code, tamper in finders.items():
        with without(code):
            findings = audited(world, tamper)
        if exit_code(findings) == tamper.exit_code:
            still[code] = (tamper.name, codes(findings))
    assert still == {}
