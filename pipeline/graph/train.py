"""Train: a SageMaker training job that fits a LoRA adapter to the frozen FP8 base model.

It reads its data through Unity Catalog.
"""

from pipeline import layout, metrics
from pipeline.configuration.config import Config
from pipeline.configuration.sections import openlineage, waits
from pipeline.graph import retries
from pipeline.graph.expressions import Variable, Variables, texts, uri
from pipeline.graph.sdk import (
    CheckpointConfig,
    Compute,
    EMRServerlessStep,
    ExecutionVariables,
    InputData,
    MetricDefinition,
    ModelTrainer,
    Networking,
    OutputDataConfig,
    PipelineSession,
    StoppingCondition,
    Tag,
    TrainingStep,
)

# The job downloads nothing from the hub: the base model comes with the channel, the data through
# Unity Catalog.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
# SageMaker restores this folder from S3 before each start, and copies changes in it to S3.
CHECKPOINTS = "/opt/ml/checkpoints"
# A hyperparameter is text, so null has a word, which steps/train/arguments.py knows.
NO_EXPERIMENT = "none"


def step(
    config: Config, parameters: Variables, *, session: PipelineSession, after: EMRServerlessStep
) -> TrainingStep:
    """Return the step with its job.

    `depends_on` is explicit, because an EMR Serverless step has no properties to refer to.
    """
    trainer = _trainer(config, parameters, session)
    base_model = InputData(channel_name="model", data_source=layout.base_model(config))
    return TrainingStep(
        name="Train",
        description=(
            "Fine-tune the base model on this execution's examples and measure it before and after"
        ),
        step_args=trainer.train(input_data_config=[base_model]),
        depends_on=[after],
        retry_policies=[retries.service_faults(), retries.capacity_and_internal_errors()],
    )


def hyperparameters(config: Config, parameters: Variables) -> dict[str, Variable | str]:
    """Return the content of hyperparameters.json. `steps/train/arguments.py` parses it."""
    return texts(
        {
            "execution_arn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "curated_table": parameters["CuratedTable"],
            "prepare_manifest_uri": uri(layout.prepare_manifest(config)),
            "train_evidence_uri": uri(layout.train_evidence(config)),
            "epochs": parameters["Epochs"],
            "max_steps": parameters["MaxSteps"],
            "learning_rate": parameters["LearningRate"],
            "lora_rank": parameters["LoraRank"],
            "sequence_length": parameters["SequenceLength"],
            "seed": parameters["Seed"],
            "fp8_mode": parameters["Fp8Mode"],
            "optimizer": parameters["Optimizer"],
            "eval_steps": parameters["EvalSteps"],
            "early_stopping_patience": parameters["EarlyStoppingPatience"],
            "max_eval_examples": parameters["MaxEvalExamples"],
            "max_eval_loss": parameters["MaxEvalLoss"],
            "determinism": parameters["Determinism"],
            "merged_export": parameters["MergedExport"],
            "compile": parameters["Compile"],
            "sharding": config.train.sharding,
            "mlflow_experiment": config.train.mlflow_experiment or NO_EXPERIMENT,
            "base_model": config.train.base_model,
            "base_model_revision": config.train.base_model_revision,
            "databricks_host": config.databricks.host,
            "databricks_secret_id": config.train.databricks_secret_id,
            "region": config.aws.region,
            **({} if config.train.kernels == "auto" else {"kernels": config.train.kernels}),
            **openlineage.word(config.openlineage),
            **waits.word(config.waits),
        }
    )


def _trainer(config: Config, parameters: Variables, session: PipelineSession) -> ModelTrainer:
    """The trainer without `SourceCode`, which would put a time stamp into the definition.

    The image runs its own entry point.
    """
    train = config.train
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=train.role_arn,
        training_image=train.image,
        compute=Compute(
            instance_type=parameters["TrainInstanceType"],
            instance_count=train.instance_count,
            volume_size_in_gb=train.volume_gib,
            enable_managed_spot_training=train.use_spot,
        ),
        networking=_networking(config),
        stopping_condition=_stopping_condition(config),
        output_data_config=OutputDataConfig(s3_output_path=uri(layout.train_output(config))),
        checkpoint_config=CheckpointConfig(
            s3_uri=uri(layout.train_checkpoints(config)), local_path=CHECKPOINTS
        ),
        hyperparameters=hyperparameters(config, parameters),
        environment=ENVIRONMENT | config.logging.variables,
        tags=[Tag(key=key, value=value) for key, value in config.pipeline.tags.items()],
    )
    definitions = [MetricDefinition(name=name, regex=metrics.regex(name)) for name in metrics.KEYS]
    return trainer.with_metric_definitions(definitions)


def _stopping_condition(config: Config) -> StoppingCondition:
    limits = {"max_runtime_in_seconds": config.train.max_runtime_seconds}
    if config.train.max_wait_seconds is not None:  # SageMaker refuses it without spot
        limits["max_wait_time_in_seconds"] = config.train.max_wait_seconds
    return StoppingCondition(**limits)


def _networking(config: Config) -> Networking | None:
    if not config.train.subnet_ids:
        return None
    return Networking(
        subnets=list(config.train.subnet_ids),
        security_group_ids=list(config.train.security_group_ids),
        enable_inter_container_traffic_encryption=config.train.instance_count > 1,
    )
