"""mlflow's clients of a version's storage: only AWS's own refusals count, and nothing is kept."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from steps.governance.aws_answers import NotAws
from steps.governance.errors import AccessDenied, Unavailable
from steps.register.model_registry import mlflow_session, uploads
from steps.register.model_registry.mlflow_import import import_mlflow, keep_imports
from tests.steps.troubled_proxy import Fault, Proxy, before

_ETAG = {"ETag": '"1"'}
_DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
_PAGE = b"<html>Forbidden by the gateway</html>"


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A server in the place of S3; each test arms its answers."""
    import_mlflow()
    for name, value in uploads.ATTEMPTS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(uploads.checked.__globals__["random"], "random", lambda: 0.0)
    with before("http://127.0.0.1:9") as started:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", started.host)
        uploads.check_clients()
        yield started


def upload(folder: Path) -> None:
    """Upload a small file as mlflow does, with its errors as ours."""
    from mlflow.store.artifact.optimized_s3_artifact_repo import OptimizedS3ArtifactRepository

    (folder / "MLmodel").write_text("flavors: {}")
    with mlflow_session.translated("p", "create a version of a.b.c"), uploads.forgotten():
        repository = OptimizedS3ArtifactRepository("s3://b/models/1", "key", "secret", "token")
        repository.log_artifacts(str(folder))


def answers(storage: Proxy, *, head: Fault, put: Fault) -> None:
    """Answer every HeadBucket and every PutObject so."""
    storage.arm()
    storage.note = lambda call: (  # type: ignore[method-assign]
        storage.asked.append(call) or (head if call.startswith("HEAD") else put)
    )


REGION = Fault(200, {"x-amz-bucket-region": "us-east-1", "x-amz-request-id": "1"}, content=b"")
WRITTEN = Fault(200, _ETAG | {"x-amz-request-id": "1"}, content=b"")


def test_a_small_file_is_one_put(storage: Proxy, tmp_path: Path) -> None:
    answers(storage, head=REGION, put=WRITTEN)
    upload(tmp_path)
    assert storage.asked == ["HEAD /b", "PUT /b/models/1/MLmodel"]


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_page_while_files_are_uploaded_is_a_lost_answer(
    storage: Proxy, tmp_path: Path, status: int
) -> None:
    answers(storage, head=REGION, put=Fault(status, content=_PAGE))
    with pytest.raises(Unavailable, match=rf"storage gave no answer(?s:.*)HTTP {status}"):
        upload(tmp_path)


def test_a_page_for_the_buckets_region_is_a_lost_answer(storage: Proxy, tmp_path: Path) -> None:
    answers(storage, head=Fault(403, content=b""), put=WRITTEN)
    with pytest.raises(Unavailable, match="storage gave no answer"):
        upload(tmp_path)


def test_a_refusal_of_s3_itself_is_a_refusal(storage: Proxy, tmp_path: Path) -> None:
    answers(storage, head=REGION, put=Fault(403, {"x-amz-request-id": "1"}, content=_DENIED))
    with pytest.raises(AccessDenied, match="storage refused p"):
        upload(tmp_path)


def test_a_client_that_is_checked_twice_repeats_as_often(storage: Proxy) -> None:
    from mlflow.store.artifact.s3_artifact_repo import _get_s3_client

    client = _get_s3_client(access_key_id="a", secret_access_key="b")
    uploads.checked(client)
    answers(storage, head=Fault(403, content=b""), put=WRITTEN)
    with pytest.raises(NotAws):
        client.head_bucket(Bucket="b")
    assert len(storage.asked) == int(uploads.ATTEMPTS["AWS_MAX_ATTEMPTS"])
    answers(storage, head=Fault(404, {"x-amz-request-id": "1"}, content=b""), put=WRITTEN)
    with pytest.raises(ClientError):
        client.head_bucket(Bucket="b")


def test_nothing_that_mlflow_made_for_a_version_is_kept(tmp_path: Path) -> None:
    """Neither clients with their credentials nor copies of the serving code."""
    import_mlflow()
    from mlflow.models.utils import _load_model_code_path
    from mlflow.store.artifact import s3_artifact_repo

    code = tmp_path / "code.py"
    code.write_text(
        "import mlflow\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input: list[str], params=None):\n"
        "        return model_input\n"
        "mlflow.models.set_model(Model())\n"
    )
    with uploads.forgotten():
        _load_model_code_path(str(code), None)
        s3_artifact_repo._get_s3_client(access_key_id="a", secret_access_key="b")
        assert any(name.startswith("code_model_") for name in sys.modules)
        assert s3_artifact_repo._cached_get_s3_client.cache_info().currsize > 0
    assert not any(name.startswith("code_model_") for name in sys.modules)
    assert s3_artifact_repo._cached_get_s3_client.cache_info().currsize == 0


def test_imports_are_kept_out_of_collections_once() -> None:
    keep_imports.cache_clear()
    try:
        keep_imports()
        assert gc.get_freeze_count() > 10_000
        later = [object()]
        keep_imports()
        assert any(each is later for each in gc.get_objects()), "it is frozen too"
    finally:
        gc.unfreeze()
        keep_imports.cache_clear()


def test_the_hook_is_registered_once() -> None:
    uploads.check_clients()
    uploads.check_clients()
    bases: list[type] = []
    boto3.DEFAULT_SESSION.events.emit(
        "creating-client-class.s3", class_attributes={}, base_classes=bases
    )
    assert [each.__name__ for each in bases] == ["_Checked"]
