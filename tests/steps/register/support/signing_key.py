"""The worker's signing key, with the policy of the stack's key."""

from typing import Any

from tests.steps.register.support.policies import allow, policy


def make(kms: Any, account: str) -> str:
    """Make a key with which only the user `register` signs; return its ARN."""
    administration = ["kms:Describe*", "kms:Disable*", "kms:Enable*", "kms:Get*", "kms:Put*"]
    document = policy(
        allow(administration, "*") | {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}},
        allow(["kms:Sign", "kms:GetPublicKey"], "*")
        | {"Principal": {"AWS": f"arn:aws:iam::{account}:user/register"}},
    )
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Policy=document)
    return str(made["KeyMetadata"]["Arn"])
