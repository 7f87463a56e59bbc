"""docs/data.md, "Rejected table", has each reason that Prepare can give, and no other."""

import re
from pathlib import Path

from steps.prepare.bounds import Quality
from steps.prepare.filings import decision, examination, examples
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.quality import thresholds
from steps.prepare.schemas import PARTITION
from steps.prepare.text import sections

NO_REASONS = {EXAMPLE, FILING, PARTITION}  # other words of these modules
PAGE = Path(__file__).parents[4] / "docs" / "data.md"


def test_each_reason_is_described() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| reason | of a | meaning |") :].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    described = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    constants = {
        value
        for module in (decision, examination, examples, sections)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z0-9_]+", value)
    }
    rules = {name for name, _, _ in thresholds._rules(Quality())}
    assert len(rules) == 6
    assert described == (constants | rules) - NO_REASONS
