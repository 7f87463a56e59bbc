"""The mirror command against a real S3: uploaded, held, refused with the difference, repaired;
listings past one page.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import command, layout, mirror
from pipeline.base_model.existing_mirror import ExistingMirror
from pipeline.configuration import config
from tests.local.aws.pipelines.test_tags import VARIABLES
from tests.local.aws.support.server import REPOSITORY, Server
from tests.pipeline.base_model import models

pytestmark = [pytest.mark.environment, pytest.mark.torch]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    subprocess.run(
        [sys.executable, "-m", "pipeline.local.setup.tiny_model", "--output", folder],
        cwd=REPOSITORY,
        check=True,
    )
    return folder


@pytest.fixture
def s3(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """This process has the role `mirror`, with an empty place for the mirror."""
    keys = server.keys("mirror")
    settings = {
        **VARIABLES,
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": keys["aws_session_token"],
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return server.client("s3")


def place() -> tuple[str, str]:
    uri = layout.base_model(config.load("local", environ=VARIABLES))
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix


def run(folder: Path) -> int:
    return command.ended(mirror.main, ["--env", "local", "--folder", str(folder)])


def test_a_mirror_is_made_kept_protected_and_repaired(
    s3: Any, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, prefix = place()
    pointer = tmp_path / "pointer"
    pointer.mkdir()
    for path in tiny.iterdir():
        (pointer / path.name).write_bytes(path.read_bytes())
    (pointer / "model.safetensors").write_text(models.POINTER)
    assert run(pointer) == 2
    assert "model.safetensors  is a git-lfs pointer" in capsys.readouterr().err
    assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 0

    assert run(tiny) == 0
    assert " holds 7 files" in capsys.readouterr().out
    assert run(tiny) == 0
    assert " already held 7 files" in capsys.readouterr().out

    (pointer / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes())
    (pointer / "chat_template.jinja").write_text("another")
    assert run(pointer) == 1
    assert "chat_template.jinja  is " in capsys.readouterr().err

    s3.put_object(Bucket=bucket, Key=prefix + "model.safetensors", Body=models.POINTER.encode())
    assert run(tiny) == 0
    assert "is broken and is replaced" in capsys.readouterr().err
    assert run(tiny) == 0
    assert " already held 7 files" in capsys.readouterr().out


def test_every_page_of_a_listing_is_read(s3: Any) -> None:
    bucket, _ = place()
    for number in range(1, 1003):
        s3.put_object(
            Bucket=bucket, Key=f"base-models/many/{number:04}.json", Body=b"x" * (number % 7 + 1)
        )
    sizes = ExistingMirror(s3, f"s3://{bucket}/base-models/many/").sizes()
    assert sizes == {f"{number:04}.json": number % 7 + 1 for number in range(1, 1003)}
