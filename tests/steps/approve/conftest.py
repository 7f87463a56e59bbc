"""One environment with approvers for the whole session; each test makes its own versions."""

from collections.abc import Iterator

import pytest

from steps.governance import aws
from tests.steps.approve.support.approvals import Approvals
from tests.steps.approve.support.dying import Dying
from tests.steps.register.support import register_environment


@pytest.fixture(scope="session")
def approvals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvals]:
    with (
        register_environment.started(tmp_path_factory.mktemp("approve")) as environment,
        pytest.MonkeyPatch.context() as patch,
    ):
        # this process acts as root, to make what Register makes
        for name, value in environment.variables().items():
            patch.setenv(name, value)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        aws.client.cache_clear()
        made = Approvals(environment)
        made.set_up()
        yield made
        aws.client.cache_clear()


@pytest.fixture(scope="session")
def dying(approvals: Approvals) -> Iterator[Dying]:
    """The process that runs approvals as other people, and ends them on request."""
    with Dying.started(approvals) as process:
        yield process
