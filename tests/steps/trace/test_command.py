"""The command against S3: its exit codes, its notes, and the rights that it needs."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from steps.trace.arguments import FORMATS
from steps.trace.formats import projection
from tests.steps.trace.conftest import Bucket, Done
from tests.support.histories import Execution

Trace = Callable[..., Done]


def test_every_format_is_an_argument() -> None:
    assert FORMATS == projection.NAMES


def registered(bucket: Bucket) -> Execution:
    """An execution of version 2 with a record."""
    return next(each for each in bucket.made.plain if each.model and each.filings)


def version_of(execution: Execution) -> str:
    assert execution.model
    return f"{execution.model[0]}@{execution.model[1]}"


def test_each_question_is_answered_from_s3(bucket: Bucket, trace: Trace) -> None:
    execution, given = registered(bucket), f"--evidence-uri={bucket.evidence}"
    filing = next(name for name, (train, _) in (execution.filings or {}).items() if train)
    table, number = execution.curated
    words = {
        "model": [f"--model={version_of(execution)}"],
        "execution": [f"--execution={execution.id}"],
        "table": [f"--table={table}", f"--version={number}"],
        "filing": [f"--filing={filing}"],
        "principal": ["--principal=ada"],
    }
    for kind, options in words.items():
        done = trace(given, *options, "--json")
        assert done.code == 0, done.err
        assert list(done.document["question"]) == [kind]
        versions = [(e["model"], e["version"]) for e in done.document["model_versions"]]
        assert execution.model in versions
        shown = trace(given, *options)
        assert shown.code == 0, shown.err
        assert execution.model
        assert execution.model[0] in shown.out
    seen = trace(given, f"--filing={filing}", "--json").document["filing"]["seen"]
    assert execution.id in {entry["execution"] for entry in seen}


def test_a_model_names_who_started_it_and_who_allowed_it(bucket: Bucket, trace: Trace) -> None:
    decision = bucket.made.approvals[0]
    words = [
        f"--evidence-uri={bucket.evidence}",
        f"--model={decision['model']}@{decision['version']}",
    ]
    shown = " ".join(trace(*words).out.split())
    for text in ("who started and who allowed", "approver@example.com", "good"):
        assert text in shown
    people = trace(*words, "--json").document["people"]
    decided = [act for act in people if act["group"] == "approvers"]
    assert {act["alias"] for act in decided} == {decision["alias"]}
    assert [act["who"] for act in people if act["verb"] == "started"]


def test_unreadable_evidence_is_listed_and_the_rest_is_answered(
    bucket: Bucket, trace: Trace
) -> None:
    execution = registered(bucket)
    other = next(e for e in bucket.made.plain if e.model and e.id != execution.id)
    key = f"executions/{other.id}/register/record.json"
    bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=b'{"schema":')
    words = [f"--evidence-uri={bucket.evidence}", f"--model={version_of(execution)}"]
    done = trace(*words, "--json")
    assert done.code == 1
    (unreadable,) = done.document["unreadable"]
    assert unreadable["uri"] == f"s3://{bucket.name}/{key}"
    assert "no JSON" in unreadable["reason"]
    assert execution.id in {e["execution"] for e in done.document["model_versions"]}
    shown = trace(*words)
    assert shown.code == 1
    assert f"unreadable: s3://{bucket.name}/{key}" in " ".join(shown.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model=edgar.models.m001@1"], "did you mean 'edgar.models.m000"),
        (["--model=edgar.models.m0001@77"], "no version of edgar.models.m0001 '77'"),
        (["--model=edgar.models.m0001@chalenger"], "no alias of edgar.models.m0001 'chalenger'"),
        (["--execution=00000000000x"], "did you mean '00000000000"),
        (["--table=edgar.raw.t0001"], "did you mean 'edgar.raw.t00"),
        (["--table=edgar.curated.examples000", "--version=99"], "no version of edgar.curated"),
        (["--principal=33333333-registar"], "did you mean '33333333-register'"),
        (["--filing=0000000000-01-000099"], "no filing '0000000000-01-000099'"),
    ],
)
def test_an_unknown_object_is_the_callers_fault(
    bucket: Bucket, trace: Trace, words: list[str], message: str
) -> None:
    done = trace(f"--evidence-uri={bucket.evidence}", *words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_a_mistyped_filing_gets_the_nearest_one(bucket: Bucket, trace: Trace) -> None:
    right = next(iter(registered(bucket).filings or {}))
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    known = {name for each in bucket.made.plain for name in each.filings or {}}
    assert wrong not in known
    done = trace(f"--evidence-uri={bucket.evidence}", f"--filing={wrong}")
    assert done.code == 2
    assert "did you mean '" in done.err
    assert "not recorded by version 1" in done.err  # some executions could still have seen it


def test_an_accession_number_alone_is_enough(bucket: Bucket, trace: Trace) -> None:
    whole = next(iter(registered(bucket).filings or {}))
    alone = whole.partition("/")[2]
    words = [f"--evidence-uri={bucket.evidence}", "--json"]
    short, long = (trace(*words, f"--filing={name}").document for name in (alone, whole))
    assert short["notes"][0] == f"{alone} is the filing {whole}"
    assert short["filing"] == long["filing"]


def test_a_projection_is_made_of_stored_bytes_that_the_record_names(
    bucket: Bucket, trace: Trace
) -> None:
    execution = registered(bucket)
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={execution.id}"]
    for name in FORMATS:
        done = trace(*words, f"--format={name}")
        assert done.code == 0, done.err
        if name == "training-summary":
            assert done.out.startswith("# ")  # Markdown
            continue
        for text in done.out.splitlines() if name == "openlineage" else [done.out]:
            assert isinstance(json.loads(text), dict)
    unsigned = trace(*words, "--format=slsa", "--signed")
    assert unsigned.code == 2
    assert "is not signed" in unsigned.err
    key = f"executions/{execution.id}/prepare/manifest.json"
    content = bucket.made.objects[key].replace(b"risk-factor-heading/1", b"risk-factor-heading/2")
    bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=content)
    changed = trace(*words, "--format=slsa")
    assert changed.code == 1
    assert "differs from the document that refers to it" in changed.err


def test_a_projection_needs_a_record(bucket: Bucket, trace: Trace) -> None:
    rejected = next(each for each in bucket.made.plain if not each.model)
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={rejected.id}"]
    done = trace(*words, "--format=slsa")
    assert done.code == 2
    assert "registered no model" in done.err


def test_offline_answers_from_the_index_alone(bucket: Bucket, trace: Trace) -> None:
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={registered(bucket).id}"]
    early = trace(*words, "--offline")
    assert early.code == 2
    assert "an index to answer from is missing" in early.err
    online = trace(*words, "--json").document
    nobody = {"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "none"}
    offline = trace(*words, "--json", "--offline", **nobody).document
    assert "the evidence was not read" in offline["notes"][0]
    assert offline | {"notes": []} == online | {"notes": []}


def test_a_bucket_of_the_same_name_at_another_address_has_its_own_index(
    bucket: Bucket, trace: Trace
) -> None:
    """Two embedded environments: what one lacks is not reported as gone from the other."""
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={registered(bucket).id}"]
    assert trace(*words).code == 0
    other = trace(*words, "--offline", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert other.code == 2
    assert "an index to answer from is missing" in other.err


def test_a_role_that_may_not_list_approvals_still_gets_the_others(
    bucket: Bucket, trace: Trace
) -> None:
    arn = f"arn:aws:s3:::{bucket.name}"
    keys = user(
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/executions/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn,
         "Condition": {"StringLike": {"s3:prefix": "executions/*"}}},
    )  # fmt: skip
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={registered(bucket).id}"]
    done = trace(*words, "--json", **keys)
    assert done.code == 0, done.err
    assert "approvals could not be listed" in done.document["notes"][0]


def test_a_role_without_rights_is_refused_in_one_message(bucket: Bucket, trace: Trace) -> None:
    keys = user({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})
    done = trace(f"--evidence-uri={bucket.evidence}", "--principal=ada", **keys)
    assert done.code == 1
    assert f"this identity was refused: list s3://{bucket.name}/executions/" in done.err
    assert "Traceback" not in done.err


def test_a_bucket_that_does_not_exist_is_named(as_root: str, trace: Trace) -> None:
    done = trace("--evidence-uri=s3://no-such-bucket/executions", "--principal=ada")
    assert done.code == 1
    assert "nothing there: list s3://no-such-bucket/executions/" in done.err


def test_the_page_is_written_and_a_folder_is_refused(
    bucket: Bucket, trace: Trace, tmp_path: Path
) -> None:
    words = [f"--evidence-uri={bucket.evidence}", f"--execution={registered(bucket).id}"]
    page = tmp_path / "page.html"
    assert trace(*words, f"--html={page}").code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    refused = trace(*words, f"--html={tmp_path}")
    assert refused.code == 2
    assert "the page cannot be written" in refused.err


def user(*statements: dict[str, object]) -> dict[str, str]:
    """The keys of a new user with a policy."""
    iam, name = boto3.client("iam"), uuid4().hex[:8]
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
