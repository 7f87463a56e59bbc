"""Evidence in a real S3 server, and the command as people start it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.steps.governance.conftest import as_root, aws
from tests.support.folders import upload
from tests.support.histories import Made, Size, made

__all__ = ["as_root", "aws"]
REPOSITORY = Path(__file__).parents[3]


@dataclass
class Bucket:
    """A bucket with made evidence."""

    name: str
    made: Made
    s3: Any

    @property
    def evidence(self) -> str:
        """The URI of its executions."""
        return f"s3://{self.name}/executions"


@dataclass
class Done:
    """An ended command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The answer of `--json`."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def bucket(as_root: str) -> Iterator[Bucket]:
    """A bucket with ten executions, of both versions, approvals included."""
    s3 = boto3.client("s3")
    name = f"evidence-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    history = made(Size(executions=10), 4)
    upload(s3, name, history.objects)
    yield Bucket(name, history, s3)
    s3.close()


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., Done]:
    """The command, with an index of this test."""

    def run(*words: str, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "steps.trace", f"--index={tmp_path / 'index'}", *words],
            cwd=REPOSITORY,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
