"""The RedrivePolicy of a queue: after how many receives SQS moves a message away, and where to.

    found = DeadLetters.of(sqs, queue_url)
    found.max_receives, found.url

The register worker and the reconciler both need it. Without one, a message that can never be
handled would be delivered again without end.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

from steps.governance import aws
from steps.governance.errors import MalformedAnswer, UsageError

_POLICY = "RedrivePolicy"


@dataclass(frozen=True)
class DeadLetters:
    """The dead-letter queue of a queue, and after how many receives (from 1) a message gets there.

    Both queues are in the same region and account, as SQS requires.
    """

    url: str
    max_receives: int

    @classmethod
    def of(cls, sqs: Any, queue_url: str) -> Self:
        """Read the policy of a queue with a client of SQS, which needs sqs:GetQueueAttributes.

        Raises:
            UsageError: the queue has no dead-letter queue.
            MalformedAnswer: the policy names no queue or no number.
        """
        doing = f"read the attributes of {queue_url}"
        with aws.translated(doing):
            answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[_POLICY])
        policy = answer.get("Attributes", {}).get(_POLICY)
        if policy is None:
            raise UsageError(
                f"the queue {queue_url} has no dead-letter queue",
                expected="a RedrivePolicy with deadLetterTargetArn and maxReceiveCount",
                do="deploy the queue from conf/infrastructure",
            )
        try:
            document = json.loads(policy)
            name = str(document["deadLetterTargetArn"].rsplit(":", 1)[1])
            receives = int(document["maxReceiveCount"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _malformed(doing, policy) from error
        if not name or receives < 1:
            raise _malformed(doing, policy)
        return cls(f"{queue_url.rpartition('/')[0]}/{name}", receives)


def _malformed(doing: str, policy: str) -> MalformedAnswer:
    return MalformedAnswer(
        f"AWS answered with something else: {doing}",
        expected="a RedrivePolicy with deadLetterTargetArn and maxReceiveCount",
        got=str(policy)[:200],
        do="nothing: it is asked again; if it lasts, find out which proxy answers",
    )
