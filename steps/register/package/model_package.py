"""Build the folder of a model version: adapter, description of the base model, serving code.

    build(folder, adapter=unpacked.folder, base_model=description, metadata=tags)

The version is a pyfunc from code, since mlflow's transformers flavor would upload the whole base
model to the registry (docs/decisions/006-pyfunc-from-code.md). It holds no pickle: the code is a
Python file, the weights are safetensors, the rest is JSON.
"""

import json
import warnings
from pathlib import Path
from typing import Any

from steps.governance.files import sha256_of
from steps.register.model_registry.mlflow_import import import_mlflow

SUMS = "SHA256SUMS"  # the name that serving.py reads
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
    _forget_sources(folder)
    _write_sums(folder)


def _forget_sources(folder: Path) -> None:
    """Remove from MLmodel where this machine had artifacts and code: mlflow reads neither.

    It loads an artifact by its `path`, and the code by the name of its file in the folder.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME

    described = Model.load(str(folder))
    flavor = described.flavors[FLAVOR_NAME]
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    described.save(str(folder / "MLmodel"))


def _write_sums(folder: Path) -> None:
    """List the sha256 of every file of the version, as `sha256sum` does; serving compares them."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
