"""What each image installs, in a virtual environment that has nothing else.

    python = images.interpreter("register")     # minutes the first time, then kept under build/

The commands are those of the Dockerfile: the lock without dependencies, for Train torch before it.
Prepare's is build/spark-venv, whose base image is Spark itself (scripts/spark-venv).
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "build" / "images"
PREPARE = REPOSITORY / "build" / "spark-venv" / "bin" / "python"


def interpreter(image: str) -> Path:
    """Return the interpreter of an image's environment; make it if its lock has changed."""
    folder, context = FOLDER / image, REPOSITORY / "containers" / image
    lock, text = context / "requirements.txt", (context / "Dockerfile").read_text()
    wanted = hashlib.sha256(lock.read_bytes() + text.encode()).hexdigest()
    ready, python = folder / "ready", folder / "bin" / "python"
    if not ready.is_file() or ready.read_text() != wanted:
        _run(sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder))
        for apart in re.findall(r"^ARG TORCH=(\S+)$", text, re.M):
            _install(python, apart)
        _install(python, "--no-deps", "--require-hashes", "--requirement", str(lock))
        ready.write_text(wanted)
    return python


def _install(python: Path, *words: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet")
    _run(*pip, "--disable-pip-version-check", *words)


def _run(*command: str) -> None:
    subprocess.run(command, cwd=REPOSITORY, check=True)
