"""Where a person is sent: the console of the region's partition, the workspace, or nowhere."""

from types import SimpleNamespace
from typing import Any

import pytest

from steps.register.page.links import Links

FOLDER = "s3://evidence/executions/abcdefghijkl/register"
HOST = "https://dbc-1.cloud.databricks.com"


def trained(run: str | None = "r1", experiment: str | None = "17") -> Any:
    return SimpleNamespace(mlflow_run_id=run, mlflow_experiment_id=experiment)


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("us-east-1", "us-east-1.console.aws.amazon.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_the_report_is_in_the_console_of_its_partition(region: str, console: str) -> None:
    found = Links(HOST, region, FOLDER).outputs("a.b.c", 3, trained())
    key = "executions%2Fabcdefghijkl%2Fregister%2Freport.html"
    assert found == {
        "report_url": f"https://{console}/s3/object/evidence?region={region}&prefix={key}",
        "model_url": f"{HOST}/explore/data/models/a/b/c/version/3",
        "run_url": f"{HOST}/ml/experiments/17/runs/r1",
    }


@pytest.mark.parametrize("without", [trained(run=None), trained(experiment=None)])
def test_a_training_without_a_known_run_has_no_address(without: Any) -> None:
    assert Links(HOST, "us-east-1", FOLDER).outputs("a.b.c", 3, without)["run_url"] == "none"
