"""Wrong words are refused in a second, before a server is started for them."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def local(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.local", *words]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--set", "MaxEvalLos=1"), "did you mean 'MaxEvalLoss'?"),
        (("run", "--set", "LoraRank=7"), "expected one of 4 8 16 32 64 128, got 7"),
        (("run", "--set", "RawTable=a.b.c'--"), "expected catalog.schema.name"),
        (("run", "--set", "RawTable=../../tables/x"), "expected catalog.schema.name"),
        (
            ("run", "--set", "Fp8Mode=native", "--set", "TrainInstanceType=ml.g5.xlarge"),
            "native needs FP8 arithmetic",
        ),
        (("run", "--set", "Seed"), "expected --set Name=value"),
        (("up", "--aws-port", "99999"), "expected a port from 1 to 65535, got '99999'"),
        (("up", "--filings", "absent.jsonl"), "absent.jsonl cannot be read: No such file"),
        (("up", "--filings", "README.md"), "line(s) are not filings; nothing was loaded"),
        (("env", "--name", "anna & ben"), "expected 2 to 64 letters, digits and characters of"),
        (("env", "--name", ""), "expected 2 to 64 letters, digits and characters of"),
        (("fly",), "invalid choice: 'fly'"),
    ],
)
def test_a_wrong_word_ends_with_one_message_and_exit_code_2(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    verb, *rest = words
    ended = local(verb, "--state", str(tmp_path / "state"), *rest)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "state").exists()


def test_without_an_environment_env_interrupt_status_and_down_report_it(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert local("status", "--state", state).returncode == 1
    for verb in ("env", "interrupt"):
        missing = local(verb, "--state", state)
        assert missing.returncode == 1
        assert "no environment runs in" in missing.stderr
    assert "nothing was running" in local("down", "--state", state).stderr


@pytest.mark.parametrize("verb", ["run", "up", "status", "down", "env", "interrupt"])
def test_a_broken_record_of_the_environment_is_one_message(tmp_path: Path, verb: str) -> None:
    (tmp_path / "environment.json").write_text("{")
    ended = local(verb, "--state", str(tmp_path))
    assert ended.returncode == 1
    assert "is not the record of an environment" in ended.stderr
    assert "Traceback" not in ended.stderr


HEAVY = "boto3 botocore databricks deltalake mlflow pyarrow sagemaker torch"
_PROBE = """
import sys
from pipeline import command
from pipeline.local.__main__ import main
code = command.ended(main, sys.argv[1:])
found = [name for name in {heavy!r}.split() if name in sys.modules]
sys.exit(f"exit code {{code}}, imported {{found}}" if found else code)
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "--set", "LoraRank=7"), 2),
        (("run", "--set", "Fp8Mode=native", "--set", "TrainInstanceType=ml.g5.xlarge"), 2),
        (("run", "--filings", "README.md"), 2),
        (("up", "--filings", "absent.jsonl"), 2),
        (("down",), 0),
        (("status",), 1),
    ],
)
def test_a_first_answer_imports_no_sdk(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    verb, *rest = words
    probe = _PROBE.format(heavy=HEAVY)
    command = [sys.executable, "-c", probe, verb, "--state", str(tmp_path / "state"), *rest]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == code, ended.stderr
