"""The clients of a worker: everything that a registration reads or writes."""

from dataclasses import dataclass
from typing import Self

from steps.governance.documents import builds
from steps.governance.documents.reading import Build
from steps.governance.evidence import Evidence
from steps.governance.unity_catalog.budgets import CONNECTING_SECONDS
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.retrying import Policy
from steps.register.arguments import Arguments
from steps.register.delivery.callback_answer import Answers
from steps.register.delivery.queue import Queue
from steps.register.delivery.sagemaker_truth import Truth
from steps.register.delivery.waiting import Waiting
from steps.register.fact_reader import FactReader
from steps.register.signing.signing import Signing


@dataclass(frozen=True)
class Services:
    """Connected clients, and the build of our image. All messages share them."""

    workspace: Workspace
    queue: Queue
    truth: Truth
    facts: FactReader
    answers: Answers
    evidence: Evidence
    waiting: Waiting
    build: Build
    signing: Signing

    @classmethod
    def connected(
        cls, arguments: Arguments, connecting_seconds: float = CONNECTING_SECONDS
    ) -> Self:
        """Connect to the workspace, which may take so long to answer, and to AWS.

        Raises:
            IdentityRefused: the secret is missing, or the workspace refuses it.
            NotFound: the signing key does not exist.
            UsageError: the image's build.json is missing or malformed, or the queue has no
                dead-letter queue.
        """
        build = builds.of_this_image()
        region = arguments.region
        workspace = connect(
            host=arguments.databricks_host,
            secret_id=arguments.databricks_secret_id,
            region=region,
            policy=Policy(starting_seconds=connecting_seconds),
        )
        queue = Queue(arguments.queue_url, region, visibility_seconds=arguments.visibility_seconds)
        truth = Truth(region, pipeline_name=arguments.pipeline_name, queue_url=arguments.queue_url)
        return cls(
            workspace=workspace,
            queue=queue,
            truth=truth,
            facts=FactReader(
                region, evidence_uri=arguments.evidence_uri, truth=truth, limits=arguments.limits
            ),
            answers=Answers(region, truth),
            evidence=Evidence(region),
            waiting=Waiting(region),
            build=build,
            signing=Signing.connected(
                region, key_arn=arguments.signing_key_arn, ledger_uri=arguments.ledger_uri
            ),
        )
