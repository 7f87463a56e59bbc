"""A scripted campaign: each kind of tampering is found by the right check, with the exit code.

The default run has one kind for each check; `make test-long` has all of them. Without a check, the
kinds that it finds fail.
"""

import pytest

from steps.audit.findings import exit_code
from steps.audit.order import CODES
from steps.audit.report.text import as_text
from tests.steps.audit.support.kinds import KINDS
from tests.steps.audit.support.tampering import Tamper
from tests.steps.audit.support.world import World, codes

FEWEST = 100
INFORMATION = {"grants.now"}  # compared for the reader; a changed grant is not a fault
FIRST_OF_EACH = list({tamper.code: tamper for tamper in reversed(KINDS)}.values())
OTHERS = [tamper for tamper in KINDS if tamper not in FIRST_OF_EACH]


def found(world: World, tamper: Tamper) -> None:
    entry = world.entries[2]  # version 2 of the model, which has an approval
    with tamper.apply(world, entry) as settings:
        findings = world.audit(**({"target": entry.target} | tamper.settings | settings))
    assert tamper.code in codes(findings), as_text(findings)
    assert exit_code(findings) == tamper.exit_code


@pytest.mark.parametrize("tamper", FIRST_OF_EACH, ids=str)
def test_each_check_finds_its_tampering(world: World, tamper: Tamper) -> None:
    found(world, tamper)


@pytest.mark.long
@pytest.mark.parametrize("tamper", OTHERS, ids=str)
def test_every_kind_of_tampering_is_found(world: World, tamper: Tamper) -> None:
    found(world, tamper)


def test_every_check_is_the_finder_of_a_kind() -> None:
    assert len(KINDS) >= FEWEST
    assert {tamper.code for tamper in KINDS} == set(CODES) - INFORMATION


def test_the_history_is_clean_after_the_campaign(world: World) -> None:
    """So that no kind is found because of another one."""
    entry = world.entries[2]
    assert exit_code(world.audit(target=entry.target, deep=True)) == 0
