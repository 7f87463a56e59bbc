"""Who this process is, as AWS states it to others: a signed token of its role, for Databricks.

    jwt = role_token.token("eu-west-1")    # lasts five minutes, is stored nowhere

STS signs it (GetWebIdentityToken); Databricks checks the signature by the account's public keys and
the role's ARN by the principal's federation policy. The account's administrator allows such tokens
once (`aws iam enable-outbound-web-identity-federation`). [unverified] against AWS and Databricks:
the call is in botocore's model; the exchange ran against the embedded environment only.

External call: it has no effect, so it is sent once here, and the caller repeats what raises
`Unavailable`.
"""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from steps.governance import aws
from steps.governance.errors import IdentityRefused, Unavailable

AUDIENCE = "databricks"  # the federation policy and the role's policy name it too
ALGORITHM = "ES384"
SECONDS = 300  # from mint to exchange; AWS's shortest are 60
_DISABLED = ("OutboundWebIdentityFederationDisabled", "FeatureDisabled")
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)


def token(region: str) -> str:
    """Return a signed token of this process's role.

    Raises:
        IdentityRefused: the account or the role does not allow it, or credentials are missing.
        Unavailable: STS did not answer.
    """
    sts = boto3.client("sts", region_name=region, config=_CONFIG)
    try:
        answer = sts.get_web_identity_token(
            Audience=[AUDIENCE], DurationSeconds=SECONDS, SigningAlgorithm=ALGORITHM
        )
    except ClientError as error:
        if aws.is_passing(error):
            raise _unanswered(aws.shown(error)) from None
        raise _refused(aws.shown(error), aws.error_code(error)) from None
    except NoCredentialsError as error:
        raise _refused(type(error).__name__, "") from None
    except (BotoCoreError, ResponseParserError) as error:
        raise _unanswered(type(error).__name__) from None
    return str(answer["WebIdentityToken"])


def _unanswered(got: str) -> Unavailable:
    return Unavailable("STS did not state the identity of this process", got=got)


def _refused(got: str, code: str) -> IdentityRefused:
    allowed_once = code.startswith(_DISABLED)
    return IdentityRefused(
        "AWS does not state the identity of this process to Databricks",
        expected=f"a token of sts:GetWebIdentityToken for the audience {AUDIENCE}",
        got=got,
        do="let an administrator run aws iam enable-outbound-web-identity-federation"
        if allowed_once
        else "run it with the step's role, and deploy conf/infrastructure/identity.yaml "
        "with DatabricksIdentity=federated",
    )
