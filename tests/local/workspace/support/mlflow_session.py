"""One unchanged mlflow client in a separate process: reads a step per line, answers with its
result or its error.

Run by test_registry.py with the environment of one principal; importing mlflow costs seconds, a
step little.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature

FRAME = pd.DataFrame({"x": [1.0, 2.0]})


class Doubles(mlflow.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["x"] * 2


def log_run(experiment: str) -> dict[str, str]:
    """A run with a metric, an artifact and a logged model."""
    mlflow.set_experiment(experiment)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        mlflow.log_metric("eval_loss", 0.5, step=1)
        note = Path(folder, "note.txt")
        note.write_text("kept")
        mlflow.log_artifact(str(note), "notes")
        signature = infer_signature(FRAME, FRAME["x"])
        model = mlflow.pyfunc.log_model(
            name="model", python_model=Doubles(), signature=signature, pip_requirements=["mlflow"]
        )
    return {"run_id": run.info.run_id, "model_uri": model.model_uri}


def artifacts(run_id: str) -> dict[str, Any]:
    listed = [found.path for found in MlflowClient().list_artifacts(run_id, "notes")]
    text = Path(
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="notes/note.txt")
    ).read_text()
    return {"listed": listed, "text": text}


def register(model_uri: str, name: str) -> dict[str, str]:
    version = mlflow.register_model(model_uri, name, tags={"execution": "e1"})
    return {"version": version.version, "status": version.status}


def describe(name: str, version: str) -> dict[str, Any]:
    found = MlflowClient().get_model_version(name, version)
    return {
        "status": found.status,
        "tags": found.tags,
        "aliases": found.aliases,
        "description": found.description,
    }


def change(name: str, version: str) -> None:
    client = MlflowClient()
    client.update_model_version(name, version, "what it is")
    client.set_model_version_tag(name, version, "gate", "passed")
    client.set_registered_model_tag(name, "team", "risk")
    client.delete_model_version_tag(name, version, "execution")


def alias(name: str, word: str, version: str) -> str:
    MlflowClient().set_registered_model_alias(name, word, version)
    return str(MlflowClient().get_model_version_by_alias(name, word).version)


def search(name: str) -> list[str]:
    return [str(found.version) for found in MlflowClient().search_model_versions(f"name='{name}'")]


def load(uri: str) -> list[float]:
    return [float(value) for value in mlflow.pyfunc.load_model(uri).predict(FRAME)]


def copy(source: str, name: str) -> str:
    return str(MlflowClient().copy_model_version(source, name).version)


def delete(name: str, version: str) -> None:
    MlflowClient().delete_model_version(name, version)


def switch(variable: str, value: str) -> None:
    os.environ[variable] = value


def delete_model(name: str) -> None:
    MlflowClient().delete_registered_model(name)


def main() -> None:
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")
    steps: dict[str, Callable[..., Any]] = {
        step.__name__: step
        for step in (
            *(
                log_run,
                artifacts,
                register,
                describe,
                change,
                alias,
                search,
                load,
                copy,
                delete,
                delete_model,
                switch,
            ),
        )
    }
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        step, arguments = json.loads(line)
        try:
            answer = {"result": steps[step](*arguments)}
        except Exception as error:  # noqa: BLE001 - the test judges
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
