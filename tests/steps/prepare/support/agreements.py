"""A contract that holds, for tests in which Spark counts nothing."""

from steps.prepare.contract.agreement import Agreement, Run
from steps.prepare.contract.profile import Profile

_SHARES = dict.fromkeys(
    ("rejected", "invalid", "repeats", "dropped", "injections", "scrubbed", "eval", "without_sic"),
    0.0,
)
AGREED = Agreement(
    Profile(rows=2, heading=100.0, body=1_000.0, years={"2021": 2}, words=[1], **_SHARES), Run(), []
)
