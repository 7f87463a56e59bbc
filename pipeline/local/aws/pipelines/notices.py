"""The event that SageMaker sends to EventBridge when an execution has ended.

    notices.ended(document)     # rules of conf/infrastructure/watch.yaml match it

ministack delivers it to the targets of the account's rules, as it does for its own services. The
fields are those of AWS's page of SageMaker's events. The other changes of a status are not sent.
"""

import json

from pipeline.local.aws.store import Document

_SOURCE = "aws.sagemaker"
_KIND = "SageMaker Model Building Pipeline Execution Status Change"


def ended(document: Document) -> None:
    """Send the event of an execution's end."""
    from ministack.services import eventbridge

    arn = str(document["PipelineExecutionArn"])
    detail = {
        "pipelineArn": arn.partition("/execution/")[0],
        "pipelineExecutionArn": arn,
        "pipelineExecutionDisplayName": document.get("PipelineExecutionDisplayName", ""),
        "currentPipelineExecutionStatus": document["PipelineExecutionStatus"],
        "previousPipelineExecutionStatus": "Executing",
    }
    entry = {
        "Source": _SOURCE,
        "DetailType": _KIND,
        "Detail": json.dumps(detail),
        "Resources": [arn, detail["pipelineArn"]],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
