"""A notification as a person reads it: one line, and the command that has the rest."""

from pipeline.local.notifications.notice import Notice


def test_a_long_reason_is_cut_and_the_command_that_has_it_whole_is_named() -> None:
    reason = "execution 4x7k2m9p1q0z: Prepare: " + "the examples cannot be split " * 30
    found = Notice("1", "now", "Failed", reason, look="python -m pipeline.report --execution 4x7k")
    assert len(found.line) < 240
    assert found.line.endswith(" …")
    assert found.lines.splitlines()[1].strip() == found.look


def test_a_short_one_is_whole() -> None:
    found = Notice("1", "now", "Registered", "models:/a.b.c/1, by execution 4x7k2m9p1q0z")
    assert found.lines == "notice      Registered: models:/a.b.c/1, by execution 4x7k2m9p1q0z"
