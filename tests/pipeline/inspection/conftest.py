"""The deployed pipeline of `tests/pipeline/execution`."""

from tests.pipeline.execution.conftest import deployed as deployed
