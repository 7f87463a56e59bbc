"""The model that Register uploads, loaded with plain mlflow."""

import hashlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from steps.register.model_registry.mlflow_import import import_mlflow
from steps.register.package import model_package
from tests.steps.register.support import signatures, tiny_model
from tests.steps.register.support.prompts import POSITIONS


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute in one thread: on a busy machine torch's threads wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def model(base_model: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder that Register uploads, loaded with plain mlflow from a filled cache."""
    folder = tmp_path_factory.mktemp("serving")
    base = dict(base_model)
    config = json.loads(base["config.json"])
    config["text_config"]["max_position_embeddings"] = POSITIONS
    base["config.json"] = json.dumps(config).encode()
    adapter = folder / "unpacked" / "adapter"
    adapter.mkdir(parents=True)
    content_of = tiny_model.adapter(base)
    for name, content in content_of.items():
        (adapter / name).write_bytes(content)
    adapter.with_name("model.sig").write_bytes(signatures.signature(content_of))
    files = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in base.items()
    ]
    description = {"files": files, "name": "tiny", "revision": "0" * 40, "uri": "s3://nowhere/base"}
    model_package.build(folder / "model", adapter=adapter, base_model=description, metadata={})
    identity = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    cached = folder / "cache" / "base-models" / identity
    cached.mkdir(parents=True)
    for name, content in base.items():
        (cached / name).write_bytes(content)
    import_mlflow()
    import mlflow.pyfunc

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVERNED_FINETUNE_CACHE", str(folder / "cache"))
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        return mlflow.pyfunc.load_model(str(folder / "model"))


@pytest.fixture
def generated(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens of each prompt that reached the network, without padding."""
    lengths: list[int] = []
    network = model.unwrap_python_model()._model
    generate = network.generate

    def counted(**arguments: Any) -> Any:
        lengths.extend(arguments["attention_mask"].sum(1).tolist())
        return generate(**arguments)

    monkeypatch.setattr(network, "generate", counted)
    return lengths


@pytest.fixture
def direct(model: Any) -> Any:
    """The model without mlflow's check of the signature."""
    bare = model.unwrap_python_model()
    return SimpleNamespace(predict=lambda data, params: list(bare.predict(None, data, params)))
