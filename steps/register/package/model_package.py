"""Build the folder of a model version: adapter, description of the base model, serving code.

    build(folder, adapter=unpacked.folder, base_model=description, metadata=tags)

The version is a pyfunc from code, since mlflow's transformers flavor would upload the whole base
model to the registry (docs/decisions/006-pyfunc-from-code.md). It holds no pickle: the code is a
Python file, the weights are safetensors, the rest is JSON.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steps.governance import canonical
from steps.governance.document import validated
from steps.governance.errors import IntegrityError
from steps.governance.manifest import BaseModelFiles, Mirror
from steps.register.model_registry.mlflow_session import import_mlflow

SERVING = Path(__file__).with_name("serving.py")
# What the model needs where it is loaded: the versions that trained it
# (containers/train/requirements.in).
REQUIREMENTS = [
    "mlflow==3.17.2",
    "boto3==1.44.5",
    "accelerate==1.15.0",
    "peft==0.21.2",
    "safetensors==0.8.0",
    "tokenizers==0.23.3",
    "torch==2.13.0",
    "transformers==5.23.0",
]
MAX_MIRROR_BYTES = 4 * 1024 * 1024


def describe_base_model(content: bytes, *, uri: str, trained_on: BaseModelFiles) -> dict[str, Any]:
    """Return `base_model.json`: the URI of the base model, and name, sha256 and size of each file.

    Args:
        content: the bytes of `mirror.json`.
        uri: the S3 prefix of the files.
        trained_on: the base model in Train's manifest.

    Raises:
        IntegrityError: the mirror is not the one the model was trained on.
    """
    if canonical.sha256(content) != trained_on.mirror_sha256:
        raise IntegrityError(
            f"the mirror of the base model at {uri} was changed after training",
            expected=f"mirror.json with sha256 {trained_on.mirror_sha256}",
            got=canonical.sha256(content),
            do="put the mirrored files back, or train again on the mirror that is there now",
        )
    try:
        mirror = validated(Mirror, content)
    except ValueError as error:
        raise IntegrityError(
            f"mirror.json at {uri} is malformed",
            expected="name, revision, files",
            got=str(error)[:500],
        ) from None
    files = [
        {"path": entry.path, "sha256": entry.sha256, "size": entry.size} for entry in mirror.files
    ]
    return {"files": files, "name": mirror.name, "revision": mirror.revision, "uri": uri}


def base_model_uri(training_job: Mapping[str, Any]) -> str:
    """Return the URI of the base model's files: the training job's one input channel."""
    channels = {entry["ChannelName"]: entry for entry in training_job["InputDataConfig"]}
    return str(channels["model"]["DataSource"]["S3DataSource"]["S3Uri"]).rstrip("/")


def build(
    folder: Path, *, adapter: Path, base_model: dict[str, Any], metadata: dict[str, str]
) -> None:
    """Write the mlflow model into `folder`, which must not exist.

    The signature of the adapter's files is expected next to `adapter` (`model.sig`).
    """
    import_mlflow()
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    description = adapter.with_name("base_model.json")
    description.write_bytes(json.dumps(base_model, indent=2).encode())
    # Unity Catalog refuses a version whose signature lacks outputs.
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "prompt"), ColSpec("string", "system", required=False)]),
        outputs=Schema([ColSpec("string")]),
        params=ParamSchema([ParamSpec("max_new_tokens", "integer", 128)]),
    )
    with warnings.catch_warnings():
        # An example would be run through the model as it is saved: the worker has neither torch nor
        # the base model.
        warnings.filterwarnings(
            "ignore", message=".*An input example was not provided", category=UserWarning
        )
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(SERVING),
            artifacts={
                "adapter": str(adapter),
                "base_model": str(description),
                "signature": str(adapter.with_name("model.sig")),
            },
            signature=signature,
            pip_requirements=REQUIREMENTS,
            metadata=metadata,
        )
