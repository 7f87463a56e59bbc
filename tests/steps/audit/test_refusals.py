"""Bad input and missing rights: one clear message or line each, and nothing is written."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from steps.audit.__main__ import main
from steps.audit.arguments import Arguments, Target, parse
from steps.audit.findings import Outcome, exit_code
from steps.audit.report.text import as_text
from steps.audit.services.store import Store, translated
from steps.governance.errors import UsageError
from tests.steps.audit.support.tampering import edited, replaced
from tests.steps.audit.support.world import EVIDENCE, World, auditor_rights, codes
from tests.steps.register.support.policies import policy

MODEL = "edgar.models.analyst"


@pytest.mark.parametrize(
    ("target", "nearest"),
    [
        (Target("edgar.models.analist", version=1), MODEL),
        (Target(MODEL, version=33), "3"),
        (Target(MODEL, alias="champoin"), "champion"),
    ],
)
def test_an_unknown_target_names_the_nearest(world: World, target: Target, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {nearest}") as raised:
        world.audit(target=target)
    assert raised.value.exit_code == 2


def test_an_alias_is_a_target(world: World) -> None:
    findings = world.audit(target=Target(MODEL, alias="champion"))
    assert exit_code(findings) == 0
    assert f"{MODEL}/2" in {finding.subject for finding in findings}


@pytest.fixture
def without_artifacts(world: World) -> Iterator[World]:
    """The auditor's role without rights on the artifact bucket."""
    iam = world.environment.client("iam")
    rights = [
        {**each, "Resource": [name for name in each["Resource"] if "artifacts" not in name]}
        for each in auditor_rights()
    ]
    iam.put_user_policy(UserName="auditor", PolicyName="all", PolicyDocument=policy(*rights))
    yield world
    iam.put_user_policy(
        UserName="auditor", PolicyName="all", PolicyDocument=policy(*auditor_rights())
    )


def test_without_rights_on_one_bucket_the_other_checks_run(without_artifacts: World) -> None:
    entry = without_artifacts.entries[2]
    findings = without_artifacts.audit(target=entry.target, deep=True)
    assert codes(findings, Outcome.COULD_NOT) == {
        "base-model.mirror",
        "base-model.files",
        "archive.digest",
        "archive.members",
    }
    assert codes(findings) == set()
    assert exit_code(findings) == 2
    assert "AccessDenied" in as_text(findings)


def test_a_newer_schema_is_named(world: World) -> None:
    entry = world.entries[2]
    newer = edited(schema="governed-finetune/registered/3")
    with replaced(world, entry.key("register/record.json"), newer):
        findings = world.audit(target=entry.target)
    (line,) = [each for each in findings if each.code == "record.document" and not _ok(each)]
    assert "registered/3" in line.found
    assert "registered/2" in line.expected


HOSTILE = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"schema":"a","schema":"b"}',
    b'"<script>"',
    b"null",
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: ascii(content[:12]))
def test_hostile_documents_are_mismatches(world: World, content: bytes) -> None:
    entry = world.entries[2]
    for name in ("register/record.json", "register/record.dsse.json"):
        with replaced(world, entry.key(name), lambda _: content):
            assert exit_code(world.audit(target=entry.target)) == 1


def test_a_fork_is_named(world: World) -> None:
    from tests.steps.audit.support.kinds_of_the_ledger import LEDGER

    entry = world.entries[2]
    fork = next(tamper for tamper in LEDGER if tamper.name == "ledger: a fork")
    with fork.apply(world, entry):
        findings = world.audit(target=entry.target)
    (line,) = [each for each in findings if each.code == "ledger.chain"]
    assert line.found.startswith("a fork")


def test_nothing_is_written(world: World) -> None:
    before = world.s3.list_object_versions(Bucket=EVIDENCE).get("Versions", [])
    world.audit(target=world.entries[2].target, deep=True)
    assert world.s3.list_object_versions(Bucket=EVIDENCE).get("Versions", []) == before


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "RequestExpired"])
def test_a_wrong_clock_could_not_be_checked_and_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def skewed(store: Store, bucket: str) -> object:
        with translated(f"read the versioning of {bucket}"):
            raise ClientError({"Error": {"Code": code}}, "GetBucketVersioning")

    monkeypatch.setattr(Store, "rules", skewed)
    findings = world.audit(target=world.entries[2].target)
    (line,) = [each for each in findings if each.code == "bucket.lock"]
    assert (line.outcome, exit_code(findings)) == (Outcome.COULD_NOT, 2)
    assert "refused the time of this machine" in line.found
    assert "set this machine's clock" in line.found


def words(arguments: Arguments) -> list[str]:
    names = (
        "evidence_uri signing_public_key approval_public_key pipeline_name model_name "
        "databricks_host databricks_secret_id region retention_days object_lock_days"
    )
    return [
        word
        for name in names.split()
        for word in ("--" + name.replace("_", "-"), str(getattr(arguments, name)))
    ]


def test_the_command_prints_json_and_writes_one_page(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "audit.html"
    given = [*words(world.settings()), "--model", f"{MODEL}@2", "--json", "--report", str(page)]
    assert main(given) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 0
    text = page.read_text()
    assert "<h1>clean" in text
    assert not any(word in text for word in ("<script", "http://", "https://", "src=", "@import"))


def test_a_report_that_cannot_be_written_hides_no_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    full = "/dev/full"  # a device without space
    assert main([*words(world.settings()), "--model", f"{MODEL}@2", "--report", full]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("clean:")
    assert f"the report cannot be written to {full}" in printed.err
    assert "Traceback" not in printed.err


def test_a_report_without_a_folder_is_refused_before_anything_is_read(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in (tmp_path / "missing" / "audit.html", tmp_path):
        assert main([*words(world.settings()), "--all", "--report", str(page)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"a file in a folder that exists was expected, got '{page}'" in printed.err


def test_every_fault_of_the_arguments_is_in_one_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--model", "analyst", "--quick", "--deep", "--nonsense"]) == 2
    message = capsys.readouterr().err
    for text in ("--evidence-uri", "--model", "--quick: not with --deep", "--nonsense"):
        assert text in message
    assert "Traceback" not in message


def test_a_key_that_is_not_one_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="public key"):
        world.audit(signing_public_key="A" * 124)


def test_the_settings_are_parsed(world: World) -> None:
    assert parse([*words(world.settings()), "--deep"]).deep


def _ok(finding: object) -> bool:
    return getattr(finding, "outcome", None) is Outcome.OK
