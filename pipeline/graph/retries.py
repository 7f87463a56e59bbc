"""What SageMaker retries by itself: faults of the services, never a job that failed on its own account.

A job that failed says the same the second time, and what it wrote is recorded under this execution; a person decides.
"""

from pipeline.graph.sdk import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)


def service_faults() -> StepRetryPolicy:
    """The call that starts a job: 10 s, doubled, five times (5 minutes in all)."""
    return StepRetryPolicy(
        exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
        interval_seconds=10,
        backoff_rate=2.0,
        max_attempts=5,
    )


def capacity_and_internal_errors() -> SageMakerJobStepRetryPolicy:
    """A training job that got no instance or lost it: 1 minute, doubled, five times (half an hour in all)."""
    return SageMakerJobStepRetryPolicy(
        exception_types=[SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT],
        failure_reason_types=[
            SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
            SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
        ],
        interval_seconds=60,
        backoff_rate=2.0,
        max_attempts=5,
    )
