"""The HTML page escapes what it shows, and its first line has the outcome."""

from steps.audit.context import Context, Services
from steps.audit.findings import Finding, Outcome, exit_code
from steps.audit.report.page import html
from steps.audit.report.text import as_text
from tests.steps.audit.support.world import World

HOSTILE = '<script>alert("x")</script>\x1b[31m'


def lines() -> list[Finding]:
    return [
        Finding("record.document", Outcome.OK, "a", "b", "s3://x", "m/1"),
        Finding("record.signature", Outcome.MISMATCH, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        Finding("raw.files", Outcome.GONE, "a", "b", "", "m/1"),
    ]


def test_hostile_text_is_escaped(world: World) -> None:
    context = Context(world.settings(), Services(None, None, None))  # type: ignore[arg-type]
    page = html(lines(), context)
    assert "<script" not in page
    assert "<h1>mismatch: 1 ok, 1 mismatch, 1 gone</h1>" in page


def test_the_first_line_has_the_outcome() -> None:
    assert as_text(lines()).splitlines()[0] == "mismatch: 1 ok, 1 mismatch, 1 gone"


def test_the_worst_outcome_decides() -> None:
    ok, mismatch, gone = lines()
    could_not = Finding("tables", Outcome.COULD_NOT, "", "", "")
    note = Finding("grants.now", Outcome.NOTE, "", "", "")
    assert exit_code([ok, note]) == 0
    assert exit_code([ok, gone]) == 3
    assert exit_code([gone, could_not]) == 2
    assert exit_code([mismatch, could_not, gone]) == 1
