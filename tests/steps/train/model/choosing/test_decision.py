"""The roofline's mode is the one to beat; a measurement decides beyond its margin."""

import pytest

from steps.governance.documents.precision import Tried
from steps.governance.errors import UsageError
from steps.train.model.choosing import decision


def tried(**speeds: float | str) -> list[Tried]:
    return [
        Tried(mode=mode, fault=found)
        if isinstance(found, str)
        else Tried(mode=mode, tokens_per_second=found)
        for mode, found in speeds.items()
    ]


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({"storage": 100, "native_dx": 104, "off": 100}, "native_dx"),
        ({"storage": 100, "native_dx": 70, "off": 99}, "storage"),
        ({"storage": 104, "native_dx": 100, "off": 103}, "native_dx"),
        ({"storage": 106, "native_dx": 100, "off": 120}, "off"),
        ({"storage": 104, "native_dx": "RuntimeError: no kernel", "off": 100}, "storage"),
        ({"storage": 100, "native_dx": "RuntimeError: no kernel", "off": 104}, "storage"),
        ({"storage": 100, "native_dx": "RuntimeError: no kernel", "off": 110}, "off"),
        ({"storage": "x", "native_dx": "RuntimeError: no kernel", "off": 110}, "off"),
    ],
)
def test_another_mode_than_the_rooflines_must_be_faster_by_more_than_the_margin(
    speeds: dict[str, float | str], chosen: str
) -> None:
    choice = decision.choose(tried(**speeds), "native_dx", by_speed=True)
    assert (choice.mode, choice.predicted) == (chosen, "native_dx")
    failed = isinstance(speeds["native_dx"], str)
    assert ("RuntimeError: no kernel" in choice.reason) == failed


def test_full_determinism_follows_faults_and_no_clock() -> None:
    fast = tried(storage=300, native_dx=100, off=100)
    assert decision.choose(fast, "native_dx", by_speed=False).mode == "native_dx"
    broken = tried(storage=100, native_dx="RuntimeError: no kernel", off=300)
    assert decision.choose(broken, "native_dx", by_speed=False).mode == "storage"


def test_a_device_on_which_no_mode_runs_is_refused_with_each_reason() -> None:
    with pytest.raises(UsageError, match=r"no mode that runs(.*\n)*.*storage: a; off: b"):
        decision.choose(tried(storage="a", off="b"), "storage", by_speed=True)
