"""Each image installs what its code imports, by hash, on a base image given by digest."""

import ast
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from pipeline.local.aws.processes.images import WORKDIR
from steps.governance.documents import builds

REPOSITORY = Path(__file__).resolve().parents[1]
# The folder of containers/ and the packages of steps/ in it.
CONTENT = {
    "prepare": ("prepare",),
    "train": ("train",),
    "register": ("register",),
    "evidence": ("audit", "trace", "approve", "reconcile", "rejected"),
}
IMAGES = tuple(CONTENT)
# In the base image or installed separately: EMR's release has Spark, train's Dockerfile installs
# torch.
PROVIDED = {
    "prepare": {"pyspark-client"},
    "train": {"torch", "triton"},  # torch's CUDA build requires triton
    "register": set[str](),
    "evidence": set[str](),
}
# mlflow stores this file in the model. Its imports are requirements of the model version, which the
# person who loads the model installs.
STORED_IN_THE_MODEL = REPOSITORY / "steps" / "register" / "package" / "serving.py"
# Runs where a person types `pipeline.report` or `pipeline.compare`; no step of an image imports it.
RENDERS_PAGES = REPOSITORY / "steps" / "governance" / "pages" / "render.py"


def dockerfile(image: str) -> str:
    return (REPOSITORY / "containers" / image / "Dockerfile").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_installs_from_hashes_and_starts_from_a_base_given_by_digest(image: str) -> None:
    text = dockerfile(image)
    assert "--require-hashes --requirement requirements.txt" in text
    assert "FROM ${BASE_IMAGE}" in text
    assert f"WORKDIR {WORKDIR}" in text


def test_prepares_image_ends_in_the_folder_and_as_the_user_that_emrs_validator_wants() -> None:
    text = dockerfile("prepare")
    assert re.findall(r"^(?:WORKDIR|USER) (\S+)$", text, re.M)[-2:] == [
        "/home/hadoop",
        "hadoop:hadoop",
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_names_its_commit_and_its_lock(image: str, tmp_path: Path) -> None:
    """The shell of the Dockerfile's RUN line writes a build.json that the steps take."""
    line = re.search(r"^RUN (printf .*?build\.json)$", dockerfile(image), re.M | re.S)
    assert line is not None
    (tmp_path / "requirements.txt").write_text("x==1\n")
    arguments = {"GIT_COMMIT": "a" * 40, "GIT_CLEAN": "true", "PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-c", line[1]], cwd=tmp_path, env=arguments, check=True)
    build = builds.of_this_image({builds.VARIABLE: str(tmp_path / "build.json")})
    lock = hashlib.sha256((tmp_path / "requirements.txt").read_bytes()).hexdigest()
    assert (build.git_commit, build.clean, build.lock_sha256) == ("a" * 40, True, lock)
    assert Path(WORKDIR) / "build.json" == builds.PATH
    for missing in ("GIT_COMMIT", "GIT_CLEAN"):
        fewer = {name: value for name, value in arguments.items() if name != missing}
        done = subprocess.run(
            ["sh", "-c", line[1]], cwd=tmp_path, env=fewer, check=False, capture_output=True
        )
        assert done.returncode != 0, "an image without its commit is not built"


@pytest.mark.parametrize("step", ["train", "register"])
def test_an_image_starts_its_own_module(step: str) -> None:
    assert f'ENTRYPOINT ["python", "-m", "steps.{step}"]' in dockerfile(step)


def test_the_image_of_evidence_starts_the_command_that_its_first_word_names() -> None:
    text = dockerfile("evidence")
    assert 'ENTRYPOINT ["python", "-m"]\n' in text
    assert 'CMD ["steps.audit", "--help"]\n' in text
    assert "ENV XDG_CACHE_HOME=/tmp/" in text  # trace writes its index, and the user has no home


def test_the_image_of_train_can_use_a_gpu_and_compile_kernels() -> None:
    text = dockerfile("train")
    assert "NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility" in text
    assert re.search(r"install .*\bgcc g\+\+ libc6-dev\b", text), "Triton compiles with gcc"
    assert re.search(r"^ARG TORCH=torch==2\.13\.0$", text, re.M)
    assert "install --no-cache-dir ${TORCH} " in text


def test_each_step_is_in_one_image() -> None:
    folders = {path.parent.name for path in REPOSITORY.glob("steps/*/__init__.py")}
    assert sorted(step for steps in CONTENT.values() for step in steps) == sorted(
        folders - {"governance"}
    )


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_copies_its_steps_and_no_other(image: str) -> None:
    copied = re.findall(r"^COPY steps/([a-z]+) steps/\1$", dockerfile(image), re.M)
    assert sorted(copied) == sorted(("governance", *CONTENT[image]))


def test_every_image_is_locked_and_built() -> None:
    assert {path.parent.name for path in REPOSITORY.glob("containers/*/Dockerfile")} == set(IMAGES)
    words = " ".join(IMAGES)
    assert f"for image in {words}; do" in (REPOSITORY / "scripts" / "lock").read_text()
    assert f"for step in {words}; do" in (REPOSITORY / "scripts" / "images").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_what_its_code_imports(image: str) -> None:
    locked = _locked(REPOSITORY / "containers" / image / "requirements.txt")
    distributions = packages_distributions()
    missing = {
        module
        for folder in ("governance", *CONTENT[image])
        for path in (REPOSITORY / "steps" / folder).rglob("*.py")
        if path not in (STORED_IN_THE_MODEL, RENDERS_PAGES)
        for module in imported(path)
        if not {_normal(name) for name in distributions.get(module, [module])}
        & (locked | PROVIDED[image])
    }
    assert missing == set()


def test_prepares_image_has_the_packages_that_sparks_arrow_functions_demand() -> None:
    """`mapInArrow` of classic Spark looks for pandas and numpy, which no code here imports.

    The minimum of each is read from pyspark itself. tests/steps/prepare/test_parity.py runs the
    whole job in an environment that has this lock, pyspark and nothing else.
    """
    client = importlib.metadata.distribution("pyspark-client")
    text = Path(str(client.locate_file("pyspark/sql/pandas/utils.py"))).read_text()
    demanded = dict(re.findall(r'minimum_(pandas|pyarrow|numpy)_version = "([0-9.]+)"', text))
    assert set(demanded) == {"pandas", "pyarrow", "numpy"}
    lock = (REPOSITORY / "containers" / "prepare" / "requirements.txt").read_text()
    for package, least in demanded.items():
        found = re.search(rf"^{package}==([0-9.]+)", lock, re.MULTILINE)
        assert found, f"{package} >= {least} is missing"
        assert _numbers(found[1]) >= _numbers(least)


def test_real_spark_for_the_tests_has_what_prepares_image_installs_and_nothing_else() -> None:
    script = (REPOSITORY / "scripts" / "spark-venv").read_text()
    assert "for lock in requirements/spark.txt containers/prepare/requirements.txt; do" in script
    assert ".pth" not in script, "packages of the developer's environment would hide a gap"
    site = REPOSITORY / "build" / "spark-venv" / "lib"
    assert [*site.glob("python*/site-packages/*everything*.pth")] == [], "run scripts/spark-venv"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_development_environment_has_what_everything_imports() -> None:
    locked = _locked(REPOSITORY / "requirements" / "environment.txt") | PROVIDED["train"]
    distributions = packages_distributions()
    missing = {
        module
        for folder in ("pipeline", "steps", "tests")
        for path in (REPOSITORY / folder).rglob("*.py")
        for module in imported(path) - {"pipeline", "scripts", "tests"}
        if not path.with_name(f"{module}.py").exists()  # a module in the same folder
        and not {_normal(name) for name in distributions.get(module, [module])} & locked
    }
    assert missing == set()


def imported(path: Path) -> set[str]:
    """The top-level names of the third-party modules that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"steps"}


def _locked(lock: Path) -> set[str]:
    return {
        _normal(name)
        for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(), re.MULTILINE)
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
