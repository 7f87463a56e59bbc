"""The small parts of the embedded account, each for itself."""

import os
import sys
import time

import pytest

from pipeline.local.aws import authorization, paging
from pipeline.local.aws.errors import Invalid, NotServed
from pipeline.local.aws.pipelines.retries import Policies
from pipeline.local.aws.processes import images
from pipeline.local.aws.processes.job_process import JobProcess, inherited
from pipeline.local.aws.store import Store
from pipeline.local.aws.training_jobs import transfer
from pipeline.local.aws.training_jobs.metric_reader import MetricReader


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("local/train", "train"),
        ("train", "train"),
        (
            "111122223333.dkr.ecr.us-east-1.amazonaws.com/governed-finetune-train@sha256:"
            + "0" * 64,
            "train",
        ),
        (
            "111122223333.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/register:local",
            "register",
        ),
        ("localhost:5000/governed-finetune-prepare:1", "prepare"),
    ],
)
def test_an_image_is_a_folder_under_containers(image, name):
    assert images.name_of(image) == name


def test_the_last_entry_point_in_exec_form_is_the_command(tmp_path):
    folder = tmp_path / "containers/train"
    folder.mkdir(parents=True)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text('ENTRYPOINT ["no"]\nENTRYPOINT ["python", \\\n  "-m", "steps.train"]\n')
    assert images.entry_point(tmp_path, "local/train") == [sys.executable, "-m", "steps.train"]
    dockerfile.write_text("ENTRYPOINT python -m steps.train\n")
    with pytest.raises(Invalid, match="in exec form, found none"):
        images.entry_point(tmp_path, "local/train")
    with pytest.raises(Invalid, match=r"expected containers/\.\./Dockerfile"):
        images.entry_point(tmp_path, "local/..")


def test_the_last_match_of_a_metric_counts_and_text_is_ignored():
    reader = MetricReader(
        [{"Name": "loss", "Regex": "loss=([^;]+);"}, {"Name": "none", "Regex": "none"}]
    )
    for at, line in enumerate(("loss=3;", "loss=1e-3; loss=2;", "loss=high;", "none")):
        reader.read(line, float(at))
    assert reader.final() == [{"MetricName": "loss", "Value": 2.0, "Timestamp": 1.0}]


def test_retry_policies_pause_longer_each_time_and_end():
    policy = {
        "ExceptionType": ["Step.THROTTLING"],
        "IntervalSeconds": 2,
        "BackoffRate": 3.0,
        "MaxAttempts": 2,
    }
    policies = Policies([policy])
    assert [policies.next_pause("Step.THROTTLING") for _ in range(3)] == [2.0, 6.0, None]
    assert policies.next_pause("Step.SERVICE_FAULT") is None
    assert policies.next_pause(None) is None
    expiring = Policies(
        [{"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 50, "ExpireAfterMin": 1}]
    )
    assert [expiring.next_pause("Step.THROTTLING") for _ in range(2)] == [50.0, None]


def test_pages_follow_each_other_to_the_end():
    first, token = paging.page(range(5), {"MaxResults": 3})
    second, end = paging.page(range(5), {"MaxResults": 3, **token})
    assert (first, second, end) == ([0, 1, 2], [3, 4], {})


def test_the_store_keeps_documents_in_order_and_wakes_waiting_threads(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    for key in ("b", "a"):
        store.add("kind", key, {"key": key})
    with store.edit("kind", "a") as document:
        document["n"] = 1
    with pytest.raises(ZeroDivisionError), store.edit("kind", "a") as document:
        document["n"] = 1 / 0  # a change that fails is not stored
    store.close()
    store = Store(tmp_path / "s.sqlite")
    assert store.all("kind") == [{"key": "b"}, {"key": "a", "n": 1}]
    assert store.wait(lambda: store.get("kind", "a") == {"key": "a", "n": 1}, timeout_seconds=0)
    assert not store.wait(lambda: False, timeout_seconds=0.01)
    with pytest.raises(KeyError), store.edit("kind", "c"):
        pass
    store.close()


def process(command, tmp_path, lines, **more):
    return JobProcess(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        environment=inherited(tmp_path),
        on_line=lambda name, line: lines.append((name, line)),
        **{"merged": False, **more},
    )


def test_every_line_and_the_return_code_of_a_process_are_read(tmp_path):
    lines = []
    code = (
        "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.write('no "
        "newline'); sys.exit(7)"
    )
    assert process(code, tmp_path, lines).wait() == 7
    assert sorted(lines) == [("stderr", "err"), ("stdout", "no newline"), ("stdout", "out")]


def test_the_return_code_names_the_signal(tmp_path):
    assert (
        process("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path, []).wait()
        == -11
    )


def test_a_wait_may_end_before_the_process(tmp_path):
    job = process("import time; time.sleep(60)", tmp_path, [])
    assert job.wait(0.05) is None
    job.kill()
    assert job.wait() == -9


def test_what_a_process_leaves_behind_ends_with_it(tmp_path):
    lines = []
    code = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; "
        "time.sleep(60)']).pid)"
    )
    assert process(code, tmp_path, lines).wait() == 0
    left = int(lines[0][1])
    deadline = time.monotonic() + 5
    while _alive(left):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_missing_command_is_reported(tmp_path):
    lines = []
    job = JobProcess(
        ["/no/such/program"],
        cwd=tmp_path,
        environment=inherited(tmp_path),
        on_line=lambda _, line: lines.append(line),
        merged=True,
    )
    assert job.wait() == 127
    assert lines == ["cannot start /no/such/program: No such file or directory"]


@pytest.mark.parametrize(
    ("key", "prefix", "place"),
    [
        ("base/1/config.json", "base/1/", "config.json"),
        ("base/1/deep/w", "base/1", "deep/w"),
        ("base/1/w", "base/1/w", "w"),
        ("base/10/w", "base/1", "10/w"),
        ("a", "", "a"),
    ],
)
def test_an_object_is_in_its_channel_below_the_prefix(key, prefix, place):
    assert transfer._relative(key, prefix) == place


def test_the_principal_of_a_session_is_its_role():
    session = "arn:aws:sts::000000000000:assumed-role/train/SageMaker"
    assert (
        authorization.principal_arn(session, {"train": {"Arn": "arn:role/path/train"}})
        == "arn:role/path/train"
    )
    assert authorization.principal_arn(session, {}) == "arn:aws:iam::000000000000:role/train"
    assert (
        authorization.principal_arn("arn:aws:iam::000000000000:user/u", {})
        == "arn:aws:iam::000000000000:user/u"
    )


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        # An orphan that nobody has reaped yet is dead
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "abc"),
        ({"SortOrder": "Ascending"}, "cba"),
        ({"SortBy": "CreationTime", "SortOrder": "Ascending"}, "cba"),
        ({"SortBy": "Name"}, "cba"),
        ({"SortBy": "Name", "SortOrder": "Ascending"}, "abc"),
        ({"CreatedAfter": 1}, "ab"),  # after, not at
        ({"CreatedBefore": 3}, "bc"),
        ({"CreationTimeAfter": 1, "CreationTimeBefore": 3}, "b"),
        ({"LastModifiedTimeAfter": 12.5}, "c"),
        ({"LastModifiedTimeBefore": 12}, "a"),
    ],
)
def test_a_list_is_filtered_by_time_and_ordered(request_, expected):
    made = (("c", 1, 13), ("b", 2, 12), ("a", 3, 11))
    items = [
        {"Label": name, "CreationTime": at, "LastModifiedTime": then} for name, at, then in made
    ]
    assert (
        "".join(
            item["Label"] for item in paging.ordered(items, request_, sort_by={"Name": "Label"})
        )
        == expected
    )


def test_an_unknown_order_or_filter_is_refused_by_name():
    with pytest.raises(Invalid, match="SortBy: expected one of CreationTime, Name, got Status"):
        paging.ordered([], {"SortBy": "Status"}, sort_by={"Name": "Label"})
    with pytest.raises(NotServed, match="not implemented: ListThings Colour, Size "):
        paging.check("ListThings", {"Size": 1, "Colour": 2, "Name": 3, "MaxResults": 4}, {"Name"})
