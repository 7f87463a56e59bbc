"""The exhaustive test of the doctor (`make test-long`) can take away each resource of this account.

It runs for minutes, so a new type in a template is noticed here, in a second.
"""

import re
from pathlib import Path

from tests.pipeline.doctor import taking

TEMPLATES = Path(__file__).parents[3] / "conf" / "infrastructure"
# The embedded account does not deploy them: their conditions are false there
NOT_HERE = {
    f"AWS::{name}"
    for name in (
        "CloudTrail::Trail",
        "ECS::Cluster",
        "ECS::Service",
        "ECS::TaskDefinition",
        "IAM::OIDCProvider",
        "Lambda::EventSourceMapping",
        "Lambda::Function",
        "Lambda::Permission",
        "Logs::SubscriptionFilter",
        "SNS::Subscription",
        "SecretsManager::RotationSchedule",
    )
}


def test_each_type_of_the_templates_can_be_taken_or_is_not_deployed_here() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.yaml")]
    types = {kind for text in texts for kind in re.findall(r"^    Type: (AWS::\S+)", text, re.M)}
    assert len(types) > 35
    assert types == taking._TAKE.keys() | NOT_HERE
    assert not taking._TAKE.keys() & NOT_HERE
