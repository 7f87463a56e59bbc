"""The folders of a SageMaker training container, below `/opt/ml`.

`SAGEMAKER_BASE_DIR` replaces this root, as in AWS's sagemaker-training toolkit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What a person does about a full disk of a training job
LARGER_VOLUME = "raise train.volume_gib in the configuration"


@dataclass(frozen=True)
class Paths:
    """The files and folders that SageMaker shares with a job."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """Return the paths below `$SAGEMAKER_BASE_DIR`, or else `/opt/ml`."""
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def hyperparameters(self) -> Path:
        """A JSON object of strings."""
        return self.root / "input" / "config" / "hyperparameters.json"

    @property
    def resources(self) -> Path:
        """A JSON object: all hosts, and this host's name, network interface and instance type."""
        return self.root / "input" / "config" / "resourceconfig.json"

    @property
    def base_model(self) -> Path:
        """The input channel `model`."""
        return self.root / "input" / "data" / "model"

    @property
    def model(self) -> Path:
        """The folder that SageMaker archives as `model.tar.gz`.

        SageMaker archives it for stopped jobs too, so it stays empty until everything is done.
        """
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """The training state.

        SageMaker copies it to S3 as it changes, and back before it restarts the job.
        """
        return self.root / "checkpoints"

    @property
    def output_data(self) -> Path:
        """The folder that SageMaker archives as `output.tar.gz`."""
        return self.root / "output" / "data"

    @property
    def merged(self) -> Path:
        """The merged model, if one is requested."""
        return self.output_data / "merged"

    @property
    def failure(self) -> Path:
        """The failure reason. DescribeTrainingJob shows its first 1,024 characters."""
        return self.root / "output" / "failure"
