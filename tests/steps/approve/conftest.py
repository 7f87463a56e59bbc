"""One environment with approvers for the whole session; each test makes its own versions."""

from collections.abc import Iterator

import pytest

from steps.governance import aws
from tests.steps.approve.support.approvals import Approvals
from tests.steps.approve.support.dying import Dying
from tests.steps.register.support import register_environment


@pytest.fixture(scope="session")
def session_approvals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvals]:
    with register_environment.started(tmp_path_factory.mktemp("approve")) as environment:
        made = Approvals(environment)
        with pytest.MonkeyPatch.context() as patch:
            act_as_root(made, patch)
            made.set_up()
        yield made


@pytest.fixture
def approvals(session_approvals: Approvals, monkeypatch: pytest.MonkeyPatch) -> Approvals:
    act_as_root(session_approvals, monkeypatch)
    return session_approvals


def act_as_root(approvals: Approvals, patch: pytest.MonkeyPatch) -> None:
    """Give this process the account's root keys, to make what Register makes."""
    root = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in (approvals.environment.variables() | root).items():
        patch.setenv(name, value)
    aws.client.cache_clear()


@pytest.fixture(scope="session")
def dying(session_approvals: Approvals) -> Iterator[Dying]:
    """The process that runs approvals as other people, and ends them on request."""
    with Dying.started(session_approvals) as process:
        yield process
