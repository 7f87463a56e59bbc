"""Steps of an execution as SageMaker lists them, and the metrics of its training job."""

JOB = "arn:aws:sagemaker:us-east-1:000000000000:training-job/pipelines-run000000000-Train-x"
PREPARED = {
    "StepName": "Prepare",
    "StepStatus": "Succeeded",
    "StartTime": 0,
    "EndTime": 12.5,
    "Metadata": {"EMRServerless": {"JobRunId": "00j"}},
}
TRAINING = {
    "StepName": "Train",
    "StepStatus": "Executing",
    "StartTime": 13,
    "Metadata": {"TrainingJob": {"Arn": JOB}},
}
TRAINED = TRAINING | {"StepStatus": "Succeeded", "EndTime": 113}
PASSED = {
    "StepName": "Gate",
    "StepStatus": "Succeeded",
    "StartTime": 113,
    "EndTime": 113,
    "Metadata": {"Condition": {"Outcome": "True"}},
}
OUTPUTS = {
    "model_version": "3",
    "model_uri": "models:/edgar.models.risk_analyst/3",
    "record_uri": "s3://e/record.json",
    "report_url": "https://us-east-1.console.aws.amazon.com/s3/object/e?prefix=report.html",
    "model_url": "https://d/explore/data/models/edgar/models/risk_analyst/version/3",
    "run_url": "https://d/ml/experiments/1/runs/r",
}
REGISTERED = {
    "StepName": "Register",
    "StepStatus": "Succeeded",
    "StartTime": 114,
    "EndTime": 115,
    "Metadata": {
        "Callback": {
            "OutputParameters": [{"Name": name, "Value": value} for name, value in OUTPUTS.items()]
        }
    },
}
REASON = (
    "eval loss 7.2 is not within MaxEvalLoss 7.0 (nats per target token); nothing was registered"
)
REJECTED = {
    "StepName": "Rejected",
    "StepStatus": "Failed",
    "StartTime": 114,
    "EndTime": 114,
    "Metadata": {"Fail": {"ErrorMessage": REASON}},
}
LOSSES = [
    {"MetricName": "eval:loss_before", "Value": 7.63, "Timestamp": 20},
    {"MetricName": "eval:loss", "Value": 2.6843, "Timestamp": 110},
]
