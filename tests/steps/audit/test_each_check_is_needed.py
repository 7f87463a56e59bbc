"""Without any one check, a tampering that the audit finds is found no more.

Which check is the only finder of which kind comes from audits of this run, with all checks. Each
check of the registry is then taken out of it, and its kind is audited again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from steps.audit import audit, order
from steps.audit.findings import exit_code
from steps.audit.order import CODES
from tests.steps.audit.support.kinds import KINDS
from tests.steps.audit.support.tampering import Tamper
from tests.steps.audit.support.world import World, codes
from tests.steps.audit.test_tampering import INFORMATION

GROUPS = ("LEDGER", "RECORD", "WHOLE", "PACKAGES", "MODEL")


@contextmanager
def without(code: str) -> Iterator[None]:
    """The registry of checks without one of them."""
    with pytest.MonkeyPatch.context() as patch:
        for group in GROUPS:
            kept = tuple(check for check in getattr(order, group) if check.code != code)
            patch.setattr(audit, group, kept)
        yield


def removed_in_turn(world: World) -> Iterator[tuple[str, Tamper, int]]:
    """Yield each check that alone finds a kind, the kind, and the exit code without the check.

    Both audits see the same state: later kinds add records and entries to it.
    """
    entry, seen = world.entries[2], set[str]()
    # Kinds that sign the last entry again come first, and that entry is an approval: a
    # registration's would contradict its version's tag too. Other tests may have registered.
    world.decide(entry, "champion")
    for tamper in sorted(KINDS, key=lambda kind: kind.code != "ledger.signature"):
        if tamper.code in seen:  # one kind for each check is enough
            continue
        with tamper.apply(world, entry) as settings:
            changed = {"target": entry.target} | tamper.settings | settings
            mismatches = codes(world.audit(**changed))
            if len(mismatches) == 1 and not mismatches <= seen:
                seen |= mismatches
                (code,) = mismatches
                with without(code):
                    yield code, tamper, exit_code(world.audit(**changed))


def test_the_groups_are_the_whole_registry() -> None:
    assert tuple(check.code for group in GROUPS for check in getattr(order, group)) == CODES


@pytest.mark.long
@pytest.mark.timeout(3000)  # over a hundred audits, on a machine that others may load
def test_without_any_one_check_a_tampering_is_not_found(world: World) -> None:
    removed = list(removed_in_turn(world))
    assert {code for code, _, _ in removed} == set(CODES) - INFORMATION
    assert [(code, str(tamper)) for code, tamper, left in removed if left == tamper.exit_code] == []
