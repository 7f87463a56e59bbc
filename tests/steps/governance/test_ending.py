"""How a step that a person starts ends: one message, and the code that its page states."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from steps.governance.commands import ending
from steps.governance.errors import IntegrityError, UsageError

ROOT = Path(__file__).parents[3]
STEPS = ("approve", "audit", "reconcile", "rejected", "trace")


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "given", "code", "message"),
    [
        (UsageError("no such model"), {}, 2, "no such model\n"),
        (IntegrityError("it differs"), {}, 1, "it differs\n"),
        (IntegrityError("it differs"), {"refused": 2}, 2, "it differs\n"),
        (IntegrityError("it differs"), {"named": True}, 1, "IntegrityError: it differs\n"),
        (KeyboardInterrupt(), {"refused": 2}, 130, ""),
    ],
)
def test_a_refusal_is_one_message_and_its_code(
    error: BaseException,
    given: dict[str, object],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending.ended("test", lambda: raising(error), **given) == code  # type: ignore[arg-type]
    assert capsys.readouterr().err == message


def test_a_fault_of_the_code_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        ending.ended("test", lambda: 1 // 0)


def test_the_code_of_the_work_is_the_code_of_the_step() -> None:
    assert ending.ended("test", lambda: 3) == 3


@pytest.mark.parametrize(("given", "code"), [("", 1), (", refused=2", 2)])
def test_a_reader_that_ended_first_leaves_no_traceback(given: str, code: int) -> None:
    body = "lambda: sys.stdout.write('x' * 10**6) * 0"
    text = (
        "import sys; from steps.governance.commands.ending import ended; "
        f"sys.exit(ended('test', {body}{given}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == code


@pytest.mark.parametrize("step", STEPS)
def test_each_of_them_ends_this_way(step: str) -> None:
    source = (ROOT / "steps" / step / "__main__.py").read_text(encoding="utf-8")
    assert re.search(rf'return ending\.ended\(\s*"{step}", lambda: ', source)
    assert "except GovernanceError" not in source
