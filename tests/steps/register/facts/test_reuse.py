"""Register compares both executions before it registers what an earlier one's examples trained."""

import json
from dataclasses import replace
from typing import Any

import pytest

from steps.governance.documents.manifest import Reused
from steps.governance.errors import IntegrityError
from steps.register import cross_check, reuse
from steps.register.facts import AppliedImage, Execution, Facts
from steps.register.reuse import Origin
from tests.steps.register.support import execution_state, manifests
from tests.steps.register.support.register_environment import ACCOUNT, PIPELINE, REGION

PIPELINE_ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PIPELINE}"
FIRST, SECOND = (f"{PIPELINE_ARN}/execution/{letter * 12}" for letter in "ab")


def facts(*, asked: str = "a" * 12, job: Any = None, **origin: Any) -> Facts:
    """Return the facts of a reuse that agree, with some of the origin's changed."""
    earlier = manifests.prepared(FIRST)
    named = Reused(execution_arn=FIRST, manifest_sha256=earlier.sha256)
    mine = earlier.model_copy(update={"execution_arn": SECOND, "reused": named})
    run = execution_state.prepare_job(FIRST)
    image = AppliedImage(
        *(run["imageConfiguration"][x] for x in ("imageUri", "resolvedImageDigest"))
    )
    values: dict[str, Any] = {
        "execution": _execution(FIRST, {}),
        "prepare_job": run | (job or {}),
        "image": image,
        "prepared": earlier,
        "prepared_sha256": earlier.sha256,
    }
    return Facts(
        execution=_execution(SECOND, {"CuratedFrom": asked} if asked else {}),
        prepare_job={},
        image=image,
        training_job={},
        prepared=mine,
        prepared_sha256=mine.sha256,
        trained=None,  # type: ignore[arg-type]
        trained_sha256="",
        origin=Origin(**values | origin),
    )


def _execution(arn: str, parameters: dict[str, str]) -> Execution:
    return Execution(
        arn=arn,
        pipeline_arn=PIPELINE_ARN,
        definition=execution_state._definition(),
        definition_sha256="0" * 64,
        started_at=None,  # type: ignore[arg-type]
        started_by=None,  # type: ignore[arg-type]
        pipeline_version_id=None,
        parameters=parameters,
    )


def differing(found: Facts) -> set[str]:
    return {what for what, expected, got in reuse.pairs(found) if expected != got}


def test_the_pairs_are_part_of_the_cross_check(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("job", "definition", "manifest", "reading", "loss"):
        monkeypatch.setattr(cross_check, f"_{name}_pairs", lambda _: [])
    cross_check.cross_check(facts())
    with pytest.raises(IntegrityError, match="execution whose examples are used"):
        cross_check.cross_check(facts(asked=""))


def test_examples_that_nobody_asked_for_are_found() -> None:
    assert differing(facts(asked="")) == {"execution whose examples are used"}
    assert differing(facts(asked="c" * 12)) == {"execution whose examples are used"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"template": "other/1"}, "examples"),
        ({"schema_sha256": "9" * 64}, "examples"),
        ({"execution_arn": SECOND}, "execution in that manifest"),
        ({"reused": Reused(execution_arn=SECOND, manifest_sha256="0" * 64)}, "reuse of a reuse"),
        ({"build": None}, "code of both Prepare jobs"),
    ],
)
def test_a_manifest_that_is_another_is_found(change: dict[str, Any], what: str) -> None:
    other = manifests.prepared(FIRST).model_copy(update=change)
    found = differing(facts(prepared=other, prepared_sha256=other.sha256))
    assert found == {what, "manifest that was used again"}


def _submitted(**other: Any) -> dict[str, Any]:
    driver = execution_state.prepare_job(FIRST)["jobDriver"]["sparkSubmit"]
    return {"jobDriver": {"sparkSubmit": driver | other}}


@pytest.mark.parametrize(
    ("job", "what"),
    [
        ({"state": "FAILED"}, "state of that prepare job"),
        ({"executionRole": "another"}, "role of that prepare job"),
        (_submitted(entryPointArguments=[]), "execution in that prepare job"),
        (_submitted(entryPoint="s3://elsewhere/other.py"), "entry point of that prepare job"),
        (
            _submitted(sparkSubmitParameters="--py-files s3://elsewhere/other.zip"),
            "Spark arguments of that prepare job",
        ),
    ],
)
def test_a_job_that_is_another_is_found(job: dict[str, Any], what: str) -> None:
    assert differing(facts(job=job)) == {what}


def test_a_job_that_its_own_definition_had_is_not_enough() -> None:
    """Somebody changes the pipeline, lets Prepare run once, and restores the pipeline."""
    document = json.dumps(execution_state._definition())
    other = document.replace(execution_state.ENTRY_POINT, "s3://elsewhere/other.py")
    changed = replace(_execution(FIRST, {}), definition=json.loads(other))
    job = execution_state.prepare_job(FIRST) | _submitted(entryPoint="s3://elsewhere/other.py")
    found = differing(facts(execution=changed, prepare_job=job))
    assert found == {"entry point of that prepare job"}


def test_an_image_that_is_not_the_definition_s_is_found() -> None:
    image = AppliedImage("registry/other", "sha256:" + "0" * 64)
    found = differing(facts(image=image))
    assert found == {"image of that prepare job", "digest of that image"}


def test_another_pipeline_s_execution_is_found() -> None:
    other = _execution(FIRST, {})
    found = differing(facts(execution=replace(other, pipeline_arn=f"{PIPELINE_ARN}-other")))
    assert found == {"pipeline of both executions"}
