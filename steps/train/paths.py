"""SageMaker's folder layout in a training container, `/opt/ml`, and what this step does with each place.

`SAGEMAKER_BASE_DIR` moves the root, as in AWS's sagemaker-training toolkit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Where SageMaker puts what a job reads, and looks for what it leaves."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """`/opt/ml`, or where the environment says."""
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def hyperparameters(self) -> Path:
        """A JSON object of strings."""
        return self.root / "input" / "config" / "hyperparameters.json"

    @property
    def resources(self) -> Path:
        """A JSON object: the job's hosts, this one's name, its network interface and instance type."""
        return self.root / "input" / "config" / "resourceconfig.json"

    @property
    def base_model(self) -> Path:
        """The input channel `model`."""
        return self.root / "input" / "data" / "model"

    @property
    def model(self) -> Path:
        """What SageMaker archives as `model.tar.gz`, even of a job that was stopped: it stays empty until all is
        done.
        """
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """The training state. SageMaker copies it to S3 as it changes, and back before it starts the job again."""
        return self.root / "checkpoints"

    @property
    def output_data(self) -> Path:
        """What SageMaker archives as `output.tar.gz`, beside the model."""
        return self.root / "output" / "data"

    @property
    def merged(self) -> Path:
        """The merged model, where one is asked for."""
        return self.output_data / "merged"

    @property
    def failure(self) -> Path:
        """What DescribeTrainingJob shows as FailureReason, its first 1,024 characters."""
        return self.root / "output" / "failure"
