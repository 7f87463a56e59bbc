"""A dry run prints the kept definition only while nothing that it depends on has changed."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import command, upsert
from pipeline.configuration import config
from pipeline.deployment import compile_cache


class Compiler:
    """Compiles to a text and counts how often it did."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, configured: config.Config) -> str:
        self.runs += 1
        return json.dumps({"name": configured.pipeline.name, "run": self.runs})


@pytest.fixture
def compiler() -> Compiler:
    return Compiler()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the definition of `local` is kept (tests/pipeline/conftest.py sets the folder)."""
    return tmp_path / "cache" / "governed-finetune" / "definition-local.json"


def test_the_second_dry_run_prints_the_kept_definition_and_names_its_file(
    configured: config.Config, compiler: Compiler, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = compile_cache.compiled(configured, compiler)
    assert capsys.readouterr().err == ""
    assert compile_cache.compiled(configured, compiler) == first
    assert compiler.runs == 1
    assert capsys.readouterr().err.endswith(f"its definition is printed from {file}\n")


def test_another_configuration_compiles_again(
    configured: config.Config, compiler: Compiler
) -> None:
    compile_cache.compiled(configured, compiler)
    changed = replace(configured, pipeline=replace(configured.pipeline, tags={"project": "x"}))
    compile_cache.compiled(changed, compiler)
    assert compiler.runs == 2


def test_another_file_of_the_pipeline_compiles_again(
    configured: config.Config, compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "pipeline"
    ignored = shutil.ignore_patterns("__pycache__", "local")
    shutil.copytree(compile_cache._PIPELINE, copied, ignore=ignored)
    monkeypatch.setattr(compile_cache, "_PIPELINE", copied)
    compile_cache.compiled(configured, compiler)
    changed = copied / "graph" / "retries.py"
    changed.write_text(changed.read_text() + "# changed\n")
    compile_cache.compiled(configured, compiler)
    (copied / "new.py").write_text("")
    compile_cache.compiled(configured, compiler)
    assert compiler.runs == 3


def test_another_version_of_a_package_or_of_python_compiles_again(
    configured: config.Config, compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    (packages / "sagemaker-3.27.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    compile_cache.compiled(configured, compiler)
    (packages / "sagemaker-3.27.0.dist-info").rename(packages / "sagemaker-3.28.0.dist-info")
    compile_cache.compiled(configured, compiler)
    monkeypatch.setattr(sys, "version", "3.99")
    compile_cache.compiled(configured, compiler)
    assert compiler.runs == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept | {"definition": "{}"},
        lambda kept: {"key": kept["key"]},
        lambda kept: [kept],
        lambda kept: None,
    ],
)
def test_a_damaged_file_compiles_again_and_is_replaced(
    damage: Any, configured: config.Config, compiler: Compiler, file: Path
) -> None:
    compile_cache.compiled(configured, compiler)
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    compile_cache.compiled(configured, compiler)
    file.write_text(file.read_text()[:-20])
    second = compile_cache.compiled(configured, compiler)
    assert compiler.runs == 3
    assert compile_cache.compiled(configured, compiler) == second
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no temporary file is left"


def test_a_folder_that_cannot_be_written_is_a_note_and_the_definition_is_printed(
    configured: config.Config,
    compiler: Compiler,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert json.loads(compile_cache.compiled(configured, compiler))["run"] == 1
    assert "the definition is not kept for the next dry run" in capsys.readouterr().err


def test_without_a_cache_folder_of_the_user_it_is_below_the_home_folder(
    configured: config.Config, compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    compile_cache.compiled(configured, compiler)
    assert (tmp_path / ".cache" / "governed-finetune" / "definition-local.json").is_file()


def test_only_a_dry_run_uses_it(
    service: Any, compiled: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def compile_definition(configured: config.Config) -> str:
        runs.append(configured.environment)
        return compiled

    monkeypatch.setattr(upsert, "_compiled", compile_definition)
    for words in (["--dry-run"], ["--dry-run"], [], ["--diff"], []):
        assert command.ended(upsert.main, ["--env", "local", *words]) == 0
    assert len(runs) == 4, "one of the two dry runs, and each of the others"
    assert os.path.getsize(file) > len(compiled)
