"""The boundaries between the parts: import contracts hold, each image has one step, and `__init__`
files are empty."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "steps")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).parent / "lint-imports"),
        "--config",
        "setup.cfg",
        "--no-cache",
    ]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    contracts = [
        section for section in _setup().sections() if section.startswith("importlinter:contract")
    ]
    assert f"Contracts: {len(contracts)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("steps/train/__init__.py", "from pipeline import errors"),
        ("pipeline/metrics.py", "from steps.governance import names"),
        ("steps/train/__init__.py", "from steps.prepare import arguments"),
        ("steps/prepare/__init__.py", "import torch"),
        ("steps/governance/__init__.py", "import sagemaker"),
        ("steps/train/planning/memory.py", "from steps.train.model import precision"),
        ("steps/train/data/packing.py", "from steps.train.tracking import tracker"),
        ("steps/audit/check.py", "from steps.governance.signing import public_key"),
        ("steps/audit/services/jobs.py", "from steps.governance import evidence"),
    ],
)
def test_an_import_across_a_boundary_breaks_a_contract(
    file: str, line: str, tmp_path: Path
) -> None:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "local"),
        )
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    with (tmp_path / file).open("a") as opened:
        opened.write(f"{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout
    assert re.search(r"[1-9]\d* broken", done.stdout), done.stdout + done.stderr


def test_every_package_init_is_empty() -> None:
    """Except one, which must act before any module imports databricks-sdk (decision 076)."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")]
    assert len(found) >= 6
    written = [path.relative_to(ROOT).as_posix() for path in found if path.read_text().strip()]
    assert written == ["steps/__init__.py"]


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_one_module_imports_the_sagemaker_sdk() -> None:
    def imports_sdk(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text()))
        named = [
            alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        ]
        nodes = ast.walk(ast.parse(path.read_text()))
        named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        return any(name.split(".")[0] == "sagemaker" for name in named)

    found = [
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if imports_sdk(path)
    ]
    assert found == [ROOT / "pipeline" / "graph" / "sdk.py"]


def test_commands_that_do_not_compile_load_no_sdk() -> None:
    modules = (
        "run upsert audit configuration.config layout configuration.parameters register_worker "
        "execution.start execution.progress execution.watch deployment.validation"
    )
    program = f"import sys\nfor name in '{modules}'.split(): __import__(f'pipeline.{{name}}')\n"
    program += (
        "print([name for name in ('sagemaker', 'boto3', 'rich', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("image", "steps"),
    [
        ("prepare", {"prepare"}),
        ("train", {"train"}),
        ("register", {"register"}),
        ("evidence", {"audit", "trace", "approve", "reconcile", "rejected"}),
    ],
)
def test_each_image_has_governance_and_its_own_steps_only(image: str, steps: set[str]) -> None:
    copied = re.findall(
        r"^COPY (\S+) ", (ROOT / "containers" / image / "Dockerfile").read_text(), re.MULTILINE
    )
    code = {source for source in copied if source.startswith(("steps", "pipeline"))}
    assert code == {"steps/__init__.py", "steps/governance", *(f"steps/{step}" for step in steps)}


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_prepares_entry_point_is_in_its_image(environment: str) -> None:
    raw = yaml.safe_load((ROOT / "conf" / f"{environment}.yaml").read_text())
    dockerfile = (ROOT / "containers" / "prepare" / "Dockerfile").read_text()
    workdir, _ = re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)
    inside = raw["prepare"]["entry_point"].removeprefix(f"local://{workdir}/")
    assert inside == "steps/prepare/__main__.py"
    assert (ROOT / inside).is_file()
    assert raw["prepare"]["spark"]["spark.executorEnv.PYTHONPATH"] == workdir


@pytest.mark.parametrize("module", ["run", "upsert", "audit"])
def test_help_is_quick_and_exits_0(module: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", f"pipeline.{module}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith(f"usage: python -m pipeline.{module}")
    assert not re.search(r"\b(sagemaker|boto3)\b", done.stderr)


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser
