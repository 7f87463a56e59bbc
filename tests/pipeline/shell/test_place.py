"""A destination that cannot be written is refused before the work, by each command with one."""

import os
from pathlib import Path

import pytest

from pipeline import audit, command, trace
from pipeline.compare import __main__ as compare
from pipeline.errors import UsageError
from pipeline.report import __main__ as report
from pipeline.shell import place

EXECUTION, OTHER, MODEL = "4x7k2m9p1q0z", "5x7k2m9p1q0z", "edgar.models.risk_analyst@1"


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (report.main, ("--execution", EXECUTION, "--out")),
        (compare.main, (EXECUTION, OTHER, "--html")),
        (trace.main, ("--model", MODEL, "--html")),
        (audit.main, ("--all", "--report")),
    ],
)
def test_a_folder_or_a_file_in_no_folder_is_refused_before_anything_is_asked(
    main: command.Body, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").mkdir()
    for path, why in (
        (tmp_path / "page.html", "it is a folder"),
        (tmp_path / "no/p", "does not exist"),
    ):
        assert command.ended(main, ["--env", "dev", *words, str(path)]) == 2
        assert why in capsys.readouterr().err


def test_a_file_without_the_right_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser may write everywhere, so the system's answer is replaced."""
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    with pytest.raises(UsageError, match="no right to write there"):
        place.require(tmp_path / "page.html")


def test_what_can_be_written_is_taken_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("")
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    for name in ("page.html", "link.html", "new.html"):
        place.require(tmp_path / name)
    place.require(None)
    assert not (tmp_path / "new.html").exists()
