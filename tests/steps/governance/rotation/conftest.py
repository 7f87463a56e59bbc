"""A real Secrets Manager (ministack with IAM), a real workspace process, and its administrator."""

from tests.local.workspace.conftest import aws, start_workspace

__all__ = ["aws", "start_workspace"]
