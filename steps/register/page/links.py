"""Addresses that a browser opens: Register's page, the model version, the training's MLflow run.

    links = Links(host="https://dbc-1.cloud.databricks.com", region="us-east-1", folder="s3://…")
    links.outputs("edgar.models.analyst", 3, trained)    # report_url, model_url, run_url

They hold names only, so who opens one signs in with the rights of a person. In the embedded
environment all three are pages of the workspace (pipeline/local/workspace/people_pages.py).

Forms, with their sources in decision 072: the S3 console's page of an object [unverified]; a model
version as mlflow 3.17 prints it (`databricks_utils`, registered models of Unity Catalog); a run as
mlflow prints its experiment (`_tracking_service/client.py`) and Flyte's manual has the whole.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from steps.governance.documents.manifest import Trained
from steps.governance.files import split_s3_uri

PAGE = "report.html"
NO_RUN = "none"  # an output cannot be left out, and an untracked training has no run
# The console's address in each partition, by the beginning of its regions' names
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
_LOOPBACK = "http://"  # `hosts.checked_host` accepts http for the loopback only


@dataclass(frozen=True)
class Links:
    """Where people look: the workspace's `host`, and the `folder` of Register's evidence."""

    host: str
    region: str
    folder: str

    @property
    def page_uri(self) -> str:
        """The object that holds the page."""
        return f"{self.folder}/{PAGE}"

    def outputs(self, model: str, version: int, trained: Trained) -> dict[str, str]:
        """Return the step's outputs that a browser opens."""
        return {
            "report_url": self._report,
            "model_url": f"{self._models}/{'/'.join(model.split('.'))}/version/{version}",
            "run_url": self._run(trained),
        }

    @property
    def _models(self) -> str:
        return f"{self.host}/explore/data/models"

    @property
    def _report(self) -> str:
        bucket, key = split_s3_uri(self.page_uri)
        place = f"/s3/object/{quote(bucket)}?{urlencode({'region': self.region, 'prefix': key})}"
        if self.host.startswith(_LOOPBACK):
            return f"{self.host}{place}"
        named = (console for start, console in _CONSOLES.items() if self.region.startswith(start))
        return f"https://{self.region}.{next(named, 'console.aws.amazon.com')}{place}"

    def _run(self, trained: Trained) -> str:
        if not trained.mlflow_run_id or not trained.mlflow_experiment_id:
            return NO_RUN
        experiment, run = quote(trained.mlflow_experiment_id), quote(trained.mlflow_run_id)
        return f"{self.host}/ml/experiments/{experiment}/runs/{run}"
