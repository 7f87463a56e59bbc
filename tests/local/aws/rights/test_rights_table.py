"""Who may do what: each right of the architecture against each role, by the policy simulator.

The simulator reads the deployed roles' own policies. What buckets, queues and keys refuse besides
is in test_bucket_rights.py and test_evidence_rights.py, and in refusals.py.
"""

from collections import defaultdict

import pytest

from tests.local.aws.rights import checks
from tests.local.aws.rights.names import APPLICATION, OPTIONAL, ROLES, role

pytestmark = pytest.mark.environment


@pytest.mark.parametrize("name", [name for name in ROLES if name not in OPTIONAL])
def test_a_role_has_the_rights_of_its_column_and_no_other(server, name):
    assert wrong_decisions(server, name) == []


def wrong_decisions(server, name):
    """What the simulator answers otherwise than the table."""
    iam, application = server.client("iam"), server.outputs["ApplicationId"]
    actions = defaultdict(list)
    for action, resource in checks.RIGHTS:
        actions[resource].append(action)
    wrong = []
    for resource, asked in actions.items():
        found = iam.simulate_principal_policy(
            PolicySourceArn=role(name),
            ActionNames=asked,
            ResourceArns=[resource.replace(APPLICATION.rpartition("/")[2], application)],
        )["EvaluationResults"]
        assert [each["EvalActionName"] for each in found] == asked
        wrong += [
            (each["EvalActionName"], resource, each["EvalDecision"])
            for each in found
            if (each["EvalDecision"] == "allowed")
            != (name in checks.RIGHTS[each["EvalActionName"], resource])
        ]
    return wrong


def test_the_table_is_large_enough_to_be_a_proof():
    assert len(checks.RIGHTS) * len(ROLES) >= 400
    assert set().union(*checks.RIGHTS.values()) == set(ROLES)
