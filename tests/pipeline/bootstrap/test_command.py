"""What the command prints when a service refuses half-way."""

import json
from collections.abc import Iterator

import pytest

from pipeline.bootstrap import __main__ as bootstrap
from pipeline.bootstrap import order
from pipeline.bootstrap.change import Change, Part
from pipeline.errors import Refused


def changes() -> Iterator[Change]:
    yield Change("+", "made", lambda: None)
    yield Change("+", "refused", lambda: (_ for _ in ()).throw(ValueError("no right")).__next__())


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_refusal_half_way_leaves_what_was_made_on_the_output(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "_site", lambda environment, arguments: None)
    monkeypatch.setattr(order, "parts", lambda site: [Part("some", "me", changes)])
    with pytest.raises(Refused, match="refused was refused"):
        bootstrap.main(["--env", "local", *words])
    printed = capsys.readouterr().out
    if words:
        assert [each["what"] for each in json.loads(printed)] == ["made", "refused"]
    else:
        assert printed.splitlines() == ["+ made", "+ refused"]
