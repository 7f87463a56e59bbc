"""Changes of a training job's status: secondary statuses, attempts on an instance, the end, billed
seconds.

    enter(job, "Training", "…")         # the next secondary status
    leave_instance(job)                 # the instance is gone; its seconds count
    end(job, "Completed", "Completed")

A spot job may have several attempts: Starting, Downloading, Training, Interrupted, and from
Starting again.
"""

from pipeline.local.aws.store import Document, now

MAX_REASON_CHARACTERS = 1024
# The price of a spot second relative to on demand. In AWS the market sets it; this one is invented,
# so that the two numbers of a spot job differ as they do there (savings = 1 - BillableTimeInSeconds
# / TrainingTimeInSeconds).
SPOT_PRICE = 0.3


class JobFailed(Exception):
    """The job failed; the message is the FailureReason."""


def enter(job: Document, status: str, message: str) -> None:
    """Enter the next secondary status."""
    at = now()
    transitions = job["SecondaryStatusTransitions"]
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1]["EndTime"] = at
    transitions.append({"Status": status, "StartTime": at, "StatusMessage": message})
    job["SecondaryStatus"] = status
    job["LastModifiedTime"] = at
    if status == "Training":
        job.setdefault("TrainingStartTime", at)
        job["_on_instance_since"] = at


def leave_instance(job: Document) -> None:
    """Count the seconds of the attempt that just ended."""
    since = job.pop("_on_instance_since", None)
    if since is not None:
        job["_seconds"] = seconds_on_instances(job) + (now() - since)


def seconds_on_instances(job: Document) -> float:
    """Return the seconds of all attempts so far, without the waits between them."""
    return float(job.get("_seconds", 0.0))


def end(job: Document, status: str, secondary: str, reason: str = "") -> None:
    """Set the job's final status."""
    leave_instance(job)
    enter(job, secondary, reason or f"Training job {secondary.lower()}")
    at = job["LastModifiedTime"]
    job["SecondaryStatusTransitions"][-1]["EndTime"] = at
    job["TrainingJobStatus"] = status
    if reason:
        job["FailureReason"] = reason[:MAX_REASON_CHARACTERS]
    if "TrainingStartTime" in job:
        job["TrainingEndTime"] = at
        job["TrainingTimeInSeconds"] = max(1, round(seconds_on_instances(job)))
        price = SPOT_PRICE if job.get("EnableManagedSpotTraining") else 1.0
        job["BillableTimeInSeconds"] = max(1, round(job["TrainingTimeInSeconds"] * price))
