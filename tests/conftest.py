"""What every test may rely on: a region, no telemetry, and no identity or proxy from the developer's own shell."""

import os

for _name in [name for name in os.environ if name.startswith(("AWS_", "DATABRICKS_", "MLFLOW_", "SAGEMAKER_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}
