"""Clean histories give no false alarm."""

from steps.audit.findings import Outcome, exit_code
from steps.audit.order import CODES
from steps.audit.report.text import as_text
from tests.steps.audit.support.world import World, codes


def test_a_clean_history_is_clean_and_every_check_gives_a_line(world: World) -> None:
    findings = world.audit(deep=True)
    assert exit_code(findings) == 0, as_text(findings)
    assert {finding.code for finding in findings} == set(CODES)
    assert codes(findings, Outcome.COULD_NOT) == set()
