"""The command of an image, without Docker: the ENTRYPOINT of the Dockerfile that it is built from.

    entry_point(repository, "111122223333.dkr.ecr.us-east-1.amazonaws.com/governed-finetune-train")
    # containers/train/Dockerfile has ENTRYPOINT ["python", "-m", "steps.train"], so this returns
    # [sys.executable, "-m", "steps.train"]

The rule: the last path component without tag and digest, without the prefix `governed-finetune-`,
names the folder under `containers/`. `WORKDIR` is the repository's root. `local/train` works as
well as the URI of a real registry.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.local.aws.errors import Invalid

PREFIX = "governed-finetune-"
# where every Dockerfile under containers/ puts the code (tests/test_containers.py)
WORKDIR = "/opt/governed-finetune"
# Of scripts/spark-venv: `pyspark` in place of `pyspark-client`
SPARK_PYTHON = Path("build/spark-venv/bin/python")
_ENTRY_POINT = re.compile(r"^ENTRYPOINT\s+(\[.*\])\s*$", re.MULTILINE)


def name_of(image: str) -> str:
    """Return the folder under `containers/` of an image URI."""
    last = image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]
    return last.removeprefix(PREFIX)


def entry_point(repository: Path, image: str) -> list[str]:
    """Return the image's command on this machine.

    Raises:
        Invalid: no Dockerfile belongs to the image, or it has no ENTRYPOINT in exec form.
    """
    path = dockerfile_of(repository, image)
    return on_this_machine(exec_form(path.read_text(), path.relative_to(repository)))


def dockerfile_of(repository: Path, image: str) -> Path:
    """Return the Dockerfile that an image is built from.

    Raises:
        Invalid: no Dockerfile belongs to the image.
    """
    name = name_of(image)
    path = Path("containers") / name / "Dockerfile"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or not (repository / path).is_file():
        raise Invalid(
            f"image {image}: expected {path} in the repository (last path component without "
            f"{PREFIX!r}), found none"
        )
    return repository / path


def exec_form(dockerfile: str, path: Path) -> list[str]:
    """Return the ENTRYPOINT of a Dockerfile's text.

    Raises:
        Invalid: it is missing or in shell form.
    """
    found = _ENTRY_POINT.findall(dockerfile.replace("\\\n", " "))
    if not found:
        raise Invalid(f'{path}: expected ENTRYPOINT ["python", "-m", "…"] in exec form, found none')
    command: list[str] = json.loads(found[-1])  # as in Docker, the last one counts
    return command


def on_this_machine(command: Sequence[str]) -> list[str]:
    """Replace `python` by the interpreter that runs the environment, with its packages."""
    return [sys.executable if word in ("python", "python3") else word for word in command]


def path_in_image(repository: Path, path: str) -> Path:
    """Return the repository's path of a file inside the image.

    Raises:
        Invalid: the path is not under WORKDIR, or the repository has no such file.
    """
    relative = Path(path).relative_to(WORKDIR) if path.startswith(f"{WORKDIR}/") else None
    if relative is None or ".." in relative.parts or not (repository / relative).is_file():
        raise Invalid(
            f"entry point {path}: expected a file under {WORKDIR} (the repository's root), "
            "found none"
        )
    return repository / relative
