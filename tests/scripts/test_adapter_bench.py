"""The worker's checks of an adapter of a 3B base need little memory for small and large ranks."""

import json

import pytest

from scripts import adapter_bench


@pytest.mark.parametrize("rank", [4, pytest.param(64, marks=pytest.mark.long)])
def test_a_3b_adapter_is_checked_within_300_mib(
    rank: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapter_bench.main(["--rank", str(rank)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mib"] >= 5 * rank
    assert found["max_rss_mib"] <= 300
