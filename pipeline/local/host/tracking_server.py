"""The tracking server: mlflow's own application, served by uvicorn in one process.

    python -m pipeline.local.host.tracking_server --port 5000 --database .local/tracking/mlflow.db

`mlflow server` serves the same application, but it imports mlflow twice, in its command line and
in the uvicorn process that it starts: another 4 CPU seconds at each start of the environment.
The settings below are the ones that `mlflow server` passes to its uvicorn process
(mlflow.server._run_server). There is one worker and no artifact proxy.
"""

import argparse
import os
from pathlib import Path

_ARTIFACT_ROOT = "dbfs:/databricks/mlflow-tracking"


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.local.host.tracking_server")
    parser.add_argument("--port", type=int, required=True, help="the loopback port to serve on")
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file")
    arguments = parser.parse_args()

    import uvicorn
    from mlflow import environment_variables as settings
    from mlflow.server import constants

    store = f"sqlite:///{arguments.database}"
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: store,
        constants.REGISTRY_STORE_URI_ENV_VAR: store,
        constants.ARTIFACT_ROOT_ENV_VAR: _ARTIFACT_ROOT,
        settings._MLFLOW_SGI_NAME.name: "uvicorn",
    }
    uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
