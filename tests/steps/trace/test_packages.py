"""An answer names the packages of SageMaker's own registry that repeat its versions, as of now."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.report import origin_sections
from steps.governance.documents import model_package
from tests.steps.register.support.sagemaker_stub import SageMakerStub, serving
from tests.steps.trace.conftest import Bucket, Done
from tests.support.package_registry import GROUP

IMAGE = "example/server@sha256:" + "9" * 64
Trace = Callable[..., Done]


@contextmanager
def registry(
    trace: Trace, bucket: Bucket, model: tuple[str, int] | None = None
) -> Iterator[tuple[SageMakerStub, list[str], str]]:
    """A registry with the package of one version, and the words of its question."""
    first = next(each.model for each in bucket.made.plain if each.model and each.filings)
    name, number = model or first or ("", 0)
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


@pytest.mark.parametrize("last", ["approve", "revoke", None])
def test_it_shows_who_decided_last_on_every_form(
    bucket: Bucket, trace: Trace, tmp_path: Path, last: str | None
) -> None:
    acts = {(each["model"], each["version"]): each for each in
            sorted(bucket.made.approvals, key=lambda each: each["at"])}  # fmt: skip
    undecided = [each.model for each in bucket.made.plain if each.model and each.model not in acts]
    model = next((each for each, act in acts.items() if act["action"] == last), undecided[0])
    page = tmp_path / "lineage.html"
    with registry(trace, bucket, model) as (_, words, url):
        place = {"AWS_ENDPOINT_URL_SAGEMAKER": url}
        option = f"--model-package-group={GROUP}"
        document = trace(*words, option, "--json", **place).document
        shown = trace(*words, option, f"--html={page}", **place)
        table = trace(*words, option, **place).out
    assert shown.code == 0, shown.err
    (found,) = document["model_packages"]
    if last is None:
        assert found["decided"] is None
        text = "none"
    else:
        verb = {"approve": "approved", "revoke": "revoked"}[last]
        at = acts[model]["at"]
        text = f"{verb} as champion by approver@example.com {at}"
        assert found["decided"] == {
            "verb": verb, "alias": "champion", "who": "approver@example.com", "at": at,
            "reason": "good",
        }  # fmt: skip
    html = page.read_text(encoding="utf-8")
    row = html[html.index("SageMaker’s registry") :].partition("</table>")[0]
    assert f"<td>PendingManualApproval</td>\n    <td>{text}</td>" in row
    assert f'<td class="name">{found["arn"]}</td>' in row
    # the terminal's table folds long cells
    assert set(text.split()) <= set(table[table.index("SageMaker's registry") :].split())
    (section,) = origin_sections.packages(document)
    assert text in str(section)


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
