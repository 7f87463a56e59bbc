"""Add SageMaker and EMR Serverless to ministack: one port, the same signatures, the same IAM.

    services = install(account)        # once, before the server starts
    services.close()                   # at its end

ministack has no public way to add a service, so this module, and no other, changes its tables. Its
version is pinned exactly, and `tests/local/aws/test_plugin.py` fails when one of these tables
changes its shape.
"""

import json
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import ministack.app as app
from ministack.core import iam_actions, iam_evaluator, router

from pipeline.local.aws import authorization, cloudformation, limits, web_identity
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.emr_serverless import job_runs
from pipeline.local.aws.emr_serverless.job_runs import EmrServerless
from pipeline.local.aws.errors import NotServed, ServiceError
from pipeline.local.aws.model_packages.packages import ModelPackages
from pipeline.local.aws.network import served
from pipeline.local.aws.objects import absent
from pipeline.local.aws.pipelines.callbacks import Callbacks
from pipeline.local.aws.pipelines.executions import Executions
from pipeline.local.aws.pipelines.pipelines import Pipelines
from pipeline.local.aws.pipelines.versions import Versions
from pipeline.local.aws.recorded import calls
from pipeline.local.aws.store import Document
from pipeline.local.aws.tags import Tags
from pipeline.local.aws.training_jobs.jobs import TrainingJobs

Answer = tuple[int, dict[str, str], bytes]
SAGEMAKER_JSON, EMR_JSON = "application/x-amz-json-1.1", "application/json"


class Services:
    """Our two services, with their start and end."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.training = TrainingJobs(account)
        self.emr = EmrServerless(account)
        self.executions = Executions(account)
        self.callbacks = Callbacks(account)
        self.packages = ModelPackages(account)
        pipelines = (Pipelines(account), Versions(account), self.executions, self.callbacks)
        parts = (self.training, *pipelines, self.packages, Tags(account))
        self.sagemaker = {name: call for part in parts for name, call in part.operations.items()}

    def recover(self) -> None:
        """Mark work that was under way at the last end of the environment as failed."""
        self.training.recover()
        self.emr.recover()
        self.executions.recover()
        self.callbacks.recover()

    def close(self) -> None:
        """End every job; `recover` marks them as failed at the next start."""
        self.account.closing.set()
        self.account.store.wake()
        self.training.kill_all()
        self.emr.kill_all()

    async def handle_sagemaker(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Answer:
        """Serve a SageMaker request that is already authenticated and authorized."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        return _answer(
            self.sagemaker.get(operation),
            ("sagemaker", operation),
            headers,
            _json(body),
            SAGEMAKER_JSON,
        )

    async def handle_emr(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Answer:
        """Serve an EMR Serverless request that is already authenticated and authorized."""
        operation, names = job_runs.route(method, path) or (f"{method} {path}", {})
        request = (
            {key: value[0] if len(value) == 1 else value for key, value in query.items()}
            | _json(body)
            | names
        )
        return _answer(
            self.emr.operations.get(operation),
            ("emr-serverless", operation),
            headers,
            request,
            EMR_JSON,
        )


def install(account: Account) -> Services:
    """Register the services, their resources for IAM, and their CloudFormation type."""
    services = Services(account)
    _keep_state_of_served_only()
    _register("sagemaker", services.handle_sagemaker, {"target_prefixes": ["SageMaker."]})
    _register("emr-serverless", services.handle_emr, {"host_patterns": [r"^emr-serverless\."]})
    _extend_iam_resources(account)
    _check_roots_signature(os.environ["AWS_ACCESS_KEY_ID"])
    _bind_root_to_bucket_policies()
    _complete_condition_keys(account.id)
    if (recorded := calls.wanted()) is not None:
        iam_evaluator.enforce = recorded.around(iam_evaluator.enforce, calls.arn_of)
    served.complete()
    absent.complete()
    web_identity.serve(account)
    cloudformation.load_late(services.emr, services.packages.groups)
    return services


def _keep_state_of_served_only() -> None:
    """Limit the saved state to served services. One of ministack's services can import ten others,
    and saving their empty states takes seconds.
    """
    modules = {app.SERVICE_REGISTRY[name]["module"] for name in app.SERVICE_HANDLERS}
    for key in [key for key, module in app._state_map.items() if module not in modules]:
        del app._state_map[key]


def _register(name: str, handler: Callable[..., Any], patterns: dict[str, list[str]]) -> None:
    module: Any = types.ModuleType(f"ministack.services.{name.replace('-', '_')}")
    module.handle_request = handler
    module.reset = lambda: None
    key = module.__name__.rpartition(".")[2]
    sys.modules[module.__name__] = module
    app._loaded_modules[key] = module
    app.SERVICE_REGISTRY[name] = {"module": key}
    app.SERVICE_HANDLERS[name] = app._lazy_handler(key)
    router.SERVICE_PATTERNS[name] = patterns
    iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name
    iam_actions._BOTOCORE_SERVICE_MAP[name] = [name]


def _extend_iam_resources(account: Account) -> None:
    resource_of, context_of = iam_actions.extract_resource_arn, iam_actions.request_tag_context

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any
    ) -> Any:
        if service == "sagemaker":
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return authorization.sagemaker_resource(account, operation, _json(body))
        if service == "emr-serverless":
            return authorization.emr_resource(account, method, path)
        return resource_of(service, method, path, headers, body, *rest)

    def request_tag_context(service: str, action: str, body: bytes, params: dict[str, Any]) -> Any:
        context = context_of(service, action, body, params)
        if service == "sagemaker":
            context |= authorization.sagemaker_context(_json(body))
        if action == "kms:Sign":
            context |= authorization.signing_context(_json(body))
        if action == f"sts:{web_identity.TOKEN}":
            context |= web_identity.request_context(body)
        return context

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context


def _check_roots_signature(root_key_id: str) -> None:
    """Accept one root key only, and check its signature like any other.

    ministack accepts `test`, any twelve digits and an absent key as root, and does not check their
    signatures: a job could leave its role by sending another key.
    """
    iam_evaluator.is_root_access_key = lambda key_id: key_id == root_key_id
    iam_evaluator._is_root_key = lambda key_id: False  # ministack uses this only to skip the check


def _bind_root_to_bucket_policies() -> None:
    """Let a bucket policy's Deny refuse root. ministack lets root pass every policy."""
    resolve, evaluate = iam_evaluator.resolve_principal, iam_evaluator.evaluate_resource_policy
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    everything = [iam_evaluator.parse_policy_document({"Statement": allow})]

    def resolve_principal(*arguments: Any) -> Any:
        found = resolve(*arguments)
        if isinstance(found, iam_evaluator.PrincipalInfo) and found.policies is None:
            found.policies = everything
        return found

    def evaluate_resource_policy(policy: Any, context: Any, *rest: Any, **more: Any) -> Any:
        if context.principal_type == "Root" and not authorization.binds_root(context.action):
            return iam_evaluator.EvalResult("Allow")
        return evaluate(policy, context, *rest, **more)

    iam_evaluator.resolve_principal = resolve_principal
    iam_evaluator.evaluate_resource_policy = evaluate_resource_policy


def _complete_condition_keys(account_id: str) -> None:
    s3_context, resolve = iam_actions.s3_service_context, iam_evaluator._resolve_condition_key

    def s3_service_context(
        action: str, query: Any, path: str = "", headers: dict[str, str] | None = None
    ) -> Any:
        return s3_context(action, query, path, headers) | authorization.s3_write_context(
            action, query or {}, headers or {}
        )

    def resolve_condition_key(key: str, context: Any) -> Any:
        if key.lower() == "aws:principalarn":
            from ministack.services import iam

            return authorization.principal_arn(context.principal_arn, iam._roles)
        if (
            key.lower() == "aws:sourceaccount"
            and context.principal_arn == f"arn:aws:iam::{account_id}:root"
        ):
            # ministack lets root assume what a service may; root acts for this account's services
            return account_id
        return resolve(key, context)

    iam_actions.s3_service_context = s3_service_context
    iam_evaluator._resolve_condition_key = resolve_condition_key


def _answer(
    call: Callable[[Caller, Document], Document] | None,
    operation: tuple[str, str],
    headers: Mapping[str, str],
    request: Document,
    content_type: str,
) -> Answer:
    try:
        if call is None:
            raise NotServed(operation[1])
        limits.check(limits.input_of(*operation), request)
        caller = Caller(router.extract_access_key_id(headers, {}), iam_evaluator.caller_arn())
        status, answer, extra = 200, call(caller, request), {}
    except ServiceError as error:
        status, answer = error.status, {"__type": error.code, "message": error.message}
        extra = {"x-amzn-errortype": error.code}
    return status, {"Content-Type": content_type, **extra}, json.dumps(answer).encode()


def _json(body: bytes) -> Document:
    found: Document = json.loads(body) if body else {}
    return found
