"""The rotation as the Lambda that Secrets Manager calls: `…rotation.lambda_function.handler`.

The event names a secret, a step, and the id of the new version. Secrets Manager calls the four
steps one after the other, and repeats what failed. The function's environment has DATABRICKS_HOST
and ADMIN_SECRET_ID: the name of the secret with the identity of a workspace administrator.
"""

import os
from typing import Any

from steps.governance.logs import configure
from steps.governance.rotation.parties import between


def handler(event: dict[str, Any], context: object) -> None:
    """Run the step of the event. An error ends the call, and Secrets Manager repeats it."""
    configure("rotation")
    rotation = between(
        host=os.environ["DATABRICKS_HOST"],
        region=os.environ["AWS_REGION"],
        admin=os.environ["ADMIN_SECRET_ID"],
    )
    rotation.step(event["Step"], event["SecretId"], event["ClientRequestToken"])
