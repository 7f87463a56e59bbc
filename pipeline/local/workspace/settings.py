"""The settings of a workspace process; they do not change while it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """The command line's values. Durations are seconds."""

    port: int
    state: Path
    tracking_url: str
    aws_endpoint: str
    storage_bucket: str
    external_id: str = ""  # empty: drawn at the first start
    token_ttl_seconds: int = 3600
    vended_ttl_seconds: int = 3600
    tracking_wait_seconds: float = 60.0
    external_access: bool = True
    models_by_files_api: bool = False  # what mlflow asks before it writes or reads a version
    lineage_duplicates: Literal["keep", "refuse"] = "keep"
    enable_faults: bool = False

    @property
    def host(self) -> str:
        """The workspace's URL, which clients use as DATABRICKS_HOST."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """The folder of everything that this process writes."""
        return self.state / "workspace"

    @property
    def region(self) -> str:
        """The AWS region: AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1."""
        return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
