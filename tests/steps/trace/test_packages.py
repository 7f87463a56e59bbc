"""An answer names the packages of SageMaker's own registry that repeat its versions, as of now."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.report import origin_sections
from steps.governance.documents import model_package
from tests.steps.register.support.sagemaker_stub import SageMakerStub, serving
from tests.steps.trace.conftest import Bucket, Done
from tests.support.package_registry import GROUP

IMAGE = "example/server@sha256:" + "9" * 64
Trace = Callable[..., Done]


@contextmanager
def registry(trace: Trace, bucket: Bucket) -> Iterator[tuple[SageMakerStub, list[str], str]]:
    """A registry with the package of one version, and the words of its question."""
    execution = next(each for each in bucket.made.plain if each.model and each.filings)
    assert execution.model
    name, number = execution.model
    words = [f"--evidence-uri={bucket.evidence}", f"--model={name}@{number}"]
    (version,) = trace(*words, "--json").document["model_versions"]
    stub = SageMakerStub()
    with serving(stub) as url:
        for record in (version["record_sha256"], "0" * 64):
            request = {
                "ModelPackageGroupName": GROUP,
                "ModelPackageDescription": model_package.subject(
                    name, version=number, record_sha256=record, image=IMAGE
                ),
            }
            stub.packages.call("CreateModelPackage", request, "")
        yield stub, words, url


def test_the_package_of_the_record_is_named_with_its_status(bucket: Bucket, trace: Trace) -> None:
    option = f"--model-package-group={GROUP}"
    with registry(trace, bucket) as (stub, words, url):
        ours = stub.packages.packages()[0]["ModelPackageArn"]
        place = {"AWS_ENDPOINT_URL_SAGEMAKER": url}
        done = trace(*words, option, "--json", **place)
        assert done.code == 0, done.err
        (found,) = done.document["model_packages"]
        assert (found["arn"], found["status"]) == (ours, "PendingManualApproval")
        assert ours in trace(*words, option, **place).out
        assert "model_packages" not in trace(*words, "--json", **place).document
        assert "model_packages" not in trace(*words, option, "--offline", "--json").document
        (section,) = origin_sections.packages(done.document)
        assert ours in str(section)


def test_a_registry_that_refuses_is_a_note(bucket: Bucket, trace: Trace) -> None:
    with registry(trace, bucket) as (stub, words, url):
        stub.refuse.append(("ListModelPackages", "AccessDeniedException"))
        option = f"--model-package-group={GROUP}"
        done = trace(*words, option, "--json", AWS_ENDPOINT_URL_SAGEMAKER=url)
    assert (done.code, "model_packages" in done.document) == (0, False)
    assert any(
        "packages of approved-models are not shown" in each for each in done.document["notes"]
    )


def test_a_run_without_packages_has_no_section() -> None:
    assert origin_sections.packages(None) == origin_sections.packages({}) == []
