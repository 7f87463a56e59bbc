"""Train's hyperparameters: anybody who may start a job may have written them."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.governance.errors import UsageError
from steps.train import arguments
from steps.train.paths import Paths

GOOD = {
    "execution_arn": "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/abcdefghijkl",
    "curated_table": "edgar.curated.risk_factor_examples",
    "prepare_manifest_uri": "s3://evidence/executions/abcdefghijkl/prepare/manifest.json",
    "train_evidence_uri": "s3://evidence/executions/abcdefghijkl/train",
    "epochs": "1",
    "max_steps": "-1",
    "learning_rate": "0.0002",
    "lora_rank": "16",
    "sequence_length": "2048",
    "seed": "17",
    "fp8_mode": "auto",
    "optimizer": "adamw",
    "eval_steps": "50",
    "early_stopping_patience": "0",
    "max_eval_examples": "1000",
    "max_eval_loss": "2.5",
    "determinism": "seeded",
    "merged_export": "none",
    "compile": "off",
    "sharding": "auto",
    "mlflow_experiment": "/Shared/governed-finetune-dev",
    "base_model": "mistralai/Ministral-3-3B-Instruct-2512",
    "base_model_revision": "0" * 40,
    "databricks_host": "https://dbc-1.cloud.databricks.com",
    "databricks_secret_id": "governed-finetune-dev/databricks/train",
    "region": "eu-west-1",
}


def test_good_hyperparameters_become_typed_values() -> None:
    parsed = arguments.parse(GOOD)
    assert (parsed.learning_rate, parsed.lora_rank, parsed.max_steps, parsed.seed) == (
        0.0002,
        16,
        -1,
        17,
    )
    assert str(parsed.curated_table) == "edgar.curated.risk_factor_examples"
    assert parsed.execution_id == "abcdefghijkl"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "0"),
        ("epochs", "21"),
        ("epochs", "1.0"),
        ("epochs", ""),
        ("max_steps", "0"),
        ("max_steps", "-2"),
        ("learning_rate", "0"),
        ("learning_rate", "0.11"),
        ("learning_rate", "nan"),
        ("learning_rate", "-1"),
        ("learning_rate", ""),
        ("lora_rank", "7"),
        ("sequence_length", "2047"),
        ("seed", str(2**31)),
        ("seed", "٣"),
        ("fp8_mode", "AUTO"),
        ("optimizer", "sgd"),
        ("eval_steps", "0"),
        ("early_stopping_patience", "-1"),
        ("max_eval_examples", "0"),
        ("max_eval_examples", "-2"),
        ("max_eval_examples", "1000001"),
        ("determinism", "yes"),
        ("merged_export", "fp8"),
        ("compile", "on"),
        ("sharding", "zero3"),
        ("mlflow_experiment", "my-runs"),
        ("mlflow_experiment", "/Shared/../x"),
        ("curated_table", "a.b"),
        ("curated_table", "a.b.c;drop"),
        ("base_model", "../etc"),
        ("base_model_revision", "main"),
        ("prepare_manifest_uri", "s3://bucket"),
        ("prepare_manifest_uri", "s3://bucket/a/../b"),
        ("train_evidence_uri", "file:///etc/passwd"),
        ("databricks_host", ""),
        ("region", "mars"),
        ("execution_arn", "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"  got       {name}: .* was expected, got "):
        arguments.parse(GOOD | {name: text})


@pytest.mark.parametrize("value", [3, None, 1.5, ["1"], {}, True])
def test_a_value_that_is_not_a_string_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="epochs"):
        arguments.parse(GOOD | {"epochs": value})


def test_one_error_names_all_faults() -> None:
    faulty = {name: text for name, text in GOOD.items() if name != "seed"} | {
        "epochs": "0",
        "learning_rat": "1",
    }
    with pytest.raises(UsageError) as refused:
        arguments.parse(faulty)
    for part in (
        "seed is missing",
        "epochs: a whole number from 1 to 20 was expected",
        "learning_rat is unknown, did you mean learning_rate?",
    ):
        assert part in str(refused.value)


@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), st.text(max_size=40)))
def test_every_text_becomes_a_value_or_is_refused(texts: dict[str, str]) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(arguments.parse(GOOD | texts), arguments.Arguments)


def test_the_architecture_page_lists_exactly_these_hyperparameters() -> None:
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text()
    listed = page.split("**Train**")[1].split("```")[1].split()
    assert set(listed) == set(GOOD)


def test_paths_follow_sagemaker_base_dir() -> None:
    assert Paths.from_environment({}).hyperparameters == Path(
        "/opt/ml/input/config/hyperparameters.json"
    )
    assert Paths.from_environment({"SAGEMAKER_BASE_DIR": "/x"}).model == Path("/x/model")


def run(root: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SAGEMAKER_BASE_DIR": str(root), "TRAINING_JOB_NAME": "job"}
    return subprocess.run(
        [sys.executable, "-m", "steps.train", *argv],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_hyperparameter_and_imports_nothing_heavy(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in GOOD)
    heavy = ("torch", "transformers", "boto3", "pyarrow")
    code = f"import sys, steps.train.__main__; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_users_fault_exits_2_without_traceback_and_is_written_to_the_failure_file(
    tmp_path: Path,
) -> None:
    path = Paths(tmp_path).hyperparameters
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD | {"epochs": "0"}))
    failed = run(tmp_path, "train")
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert "epochs: a whole number from 1 to 20 was expected, got '0'" in failed.stderr
    assert (
        "epochs: a whole number from 1 to 20 was expected, got '0'"
        in Paths(tmp_path).failure.read_text()
    )


def test_the_error_for_a_missing_file_names_its_path(tmp_path: Path) -> None:
    failed = run(tmp_path)
    assert failed.returncode == 2
    assert "hyperparameters.json cannot be read" in failed.stderr
