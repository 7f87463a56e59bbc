"""What SageMaker retries: faults of the services, never a job whose own code failed.

Such a job would fail again, and what it wrote is recorded under this execution. A person decides.
"""

from pipeline.graph.sdk import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)


def service_faults() -> StepRetryPolicy:
    """Retry the call that starts a job five times, after 10 s, 20 s, … (5 minutes in all)."""
    return StepRetryPolicy(
        exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
        interval_seconds=10,
        backoff_rate=2.0,
        max_attempts=5,
    )


def capacity_and_internal_errors() -> SageMakerJobStepRetryPolicy:
    """Retry a training job that got no instance or lost it five times, after 1, 2, 4, … minutes
    (half an hour in all)."""
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
