"""Filings are fetched as the SEC asks for it, each file whole, and `--filings` takes them."""

import fcntl
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.setup import filings
from scripts.fetch_filings import __main__ as command
from scripts.fetch_filings import edgar_client
from scripts.fetch_filings.item_1a import section
from scripts.fetch_filings.page_text import text
from tests.scripts import edgar_server
from tests.scripts.edgar_server import ANNUAL, QUARTERLY, SUBMISSIONS, WHOLE, Answer, EdgarServer

CONTACT = "Example Bank research@example.com"
LAYOUT = "raw/risk_factors/form_type=10-K/fiscal_year=2022/cik=0000001001/0000001001-23-000002.json"
RATE = b"<h1>Request Rate Threshold Exceeded</h1>"


@pytest.fixture
def edgar(monkeypatch: pytest.MonkeyPatch) -> Iterator[EdgarServer]:
    monkeypatch.setattr(edgar_client, "_FIRST_PAUSE_SECONDS", 0.01)
    with edgar_server.serving() as server:
        yield server


@pytest.fixture
def fetch(edgar: EdgarServer, tmp_path: Path) -> "Fetch":
    return Fetch(edgar, tmp_path / "out")


class Fetch:
    """Runs the command against the server; `code` is its last exit code."""

    def __init__(self, edgar: EdgarServer, out: Path) -> None:
        self.edgar, self.out = edgar, out

    def __call__(self, *others: str, years: str = "2022-2023", contact: str = CONTACT) -> int:
        fixed = ["--out", str(self.out), "--loopback", self.edgar.url, "--years", years]
        company = [] if "--company" in others else ["--company", "1001"]
        rate = [] if "--per-second" in others else ["--per-second", "10"]
        return command.main([*fixed, *company, *rate, "--contact", contact, *others])

    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.rglob("*.json"))


def test_filings_of_a_ticker_are_rows_of_the_raw_table(fetch: Fetch) -> None:
    assert fetch("--company", "aldr") == 0
    rows = list(filings.read([fetch.out]))
    assert [row["filing_type"] for row in rows] == ["10-K", "10-Q"]
    annual, quarterly = rows
    plan = "Our plan may fail—badly."
    assert annual["item_1a"] == f"ITEM 1A. RISK FACTORS\n\n{edgar_server.RISK}\n\n{plan}"
    assert quarterly["part_2_item_1a"] == f"Item 1A.\n\nRisk Factors\n\n{edgar_server.RISK}"
    assert (annual["part_2_item_1a"], quarterly["item_1a"]) == (None, None)
    assert str(annual["section_html"]).splitlines()[:2] == [
        "<p><b>ITEM 1A.</b> <b>RISK FACTORS</b></p>",
        f"<p>{edgar_server.RISK}</p>",
    ]
    assert "None." not in str(annual["section_html"])
    assert str(quarterly["section_html"]).endswith(f"<p>{edgar_server.RISK}</p>")
    assert annual["filename"] == "1001_10K_2023_0000001001-23-000002.htm"
    assert [annual[name] for name in ("cik", "company", "sic", "period_of_report")] == [
        "1001", "ALDER TOOLS INC", "3420", "2022-12-31",
    ]  # fmt: skip


def test_a_running_head_does_not_end_the_section() -> None:
    head = "PART I\nItem 1A. Risk Factors\n"
    page = f"{head}One may fail.\n12\n{head}Two may fail.\nPART II\nItem 5. Market"
    assert section(page) == page[len("PART I\n") : page.index("\nPART II")]


def test_the_page_is_named_and_its_digest_and_each_file_s(fetch: Fetch) -> None:
    assert fetch() == 0
    document = json.loads((fetch.out / LAYOUT).read_text())
    assert document["source_url"] == f"https://www.sec.gov{ANNUAL}"
    digest = subprocess.run(
        ["sha256sum"], input=edgar_server.PAGE.encode(), capture_output=True, check=True
    )
    assert document["source_sha256"] == digest.stdout.decode()[:64]
    checked = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(checked, cwd=fetch.out, check=True)


def test_older_files_are_read_only_if_they_can_hold_the_years(fetch: Fetch) -> None:
    assert fetch() == 0
    assert f"/submissions/{edgar_server.OLDER}" not in fetch.edgar.paths()
    assert fetch(years="2005") == 0
    assert fetch.edgar.paths()[-1] == WHOLE
    found = json.loads(next(fetch.out.rglob("*06-000001.json")).read_text())
    assert found["item_1A"] == f"Item 1A.  Risk Factors.\n\n{edgar_server.RISK}"
    assert found["section_html"] is None  # a text file of 2006


def test_the_same_command_again_fetches_what_is_missing(
    fetch: Fetch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch()
    (fetch.out / LAYOUT).unlink()
    before = (fetch.out / "SHA256SUMS").read_bytes()
    fetch.edgar.asked.clear()
    assert fetch() == 0
    assert fetch.edgar.paths() == [SUBMISSIONS, ANNUAL]
    assert "1 fetched, 1 there already, 0 failed" in capsys.readouterr().out
    assert (fetch.out / "SHA256SUMS").read_bytes() == before


def test_a_filing_that_was_stopped_in_the_middle_is_fetched_again(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(path: Path, content: bytes) -> None:
        path.write_bytes(content[:9])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scripts.fetch_filings.folder._written", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert fetch.files() == []
    assert fetch() == 0
    assert len(fetch.files()) == 2


def test_a_file_that_was_changed_is_named_and_left(
    fetch: Fetch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch()
    (fetch.out / LAYOUT).write_text("{}")
    assert fetch() == 1
    assert "was changed since it was fetched" in capsys.readouterr().err
    assert (fetch.out / LAYOUT).read_text() == "{}"


@pytest.mark.parametrize(
    "passing",
    [Answer(b"", 429), Answer(b"", 503), Answer(RATE, 403), Answer(None), Answer(b"", 500)],
    ids=["429", "503", "rate", "cut", "500"],
)
def test_an_answer_that_passes_is_asked_for_again(fetch: Fetch, passing: Answer) -> None:
    fetch.edgar.answers[ANNUAL].insert(0, passing)
    fetch.edgar.answers[SUBMISSIONS].insert(0, passing)
    assert fetch() == 0
    assert fetch.edgar.paths() == [SUBMISSIONS, SUBMISSIONS, ANNUAL, ANNUAL, QUARTERLY]


def test_retry_after_is_waited_for(fetch: Fetch) -> None:
    fetch.edgar.answers[SUBMISSIONS].insert(0, Answer(b"", 429, Retry_After="1"))
    assert fetch() == 0
    (_, _, first), (_, _, second) = fetch.edgar.asked[:2]
    assert second - first >= 1


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "60"}])
def test_the_budget_ends_the_attempts_and_keeps_what_was_fetched(
    fetch: Fetch, capsys: pytest.CaptureFixture[str], headers: dict[str, str]
) -> None:
    fetch.edgar.answers[QUARTERLY] = [Answer(b"", 503, **headers)]
    assert fetch("--budget-seconds", "0.3") == 1
    error = capsys.readouterr().err
    assert "EDGAR did not answer" in error
    assert "503 Service Unavailable" in error
    assert len(fetch.files()) == 1
    assert fetch.edgar.paths().count(QUARTERLY) == (1 if headers else pytest.approx(4, abs=3))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"Undeclared Automated Tool", 403), "check the contact"),
        (Answer(b"", 404), "404 Not Found"),
        (Answer(b"", 301, Location="/elsewhere"), "301 Moved Permanently"),
    ],
)
def test_a_final_answer_is_asked_for_once_and_the_other_filings_are_fetched(
    fetch: Fetch, capsys: pytest.CaptureFixture[str], answer: Answer, message: str
) -> None:
    fetch.edgar.answers[ANNUAL] = [answer]
    assert fetch() == 1
    assert message in capsys.readouterr().err
    assert fetch.edgar.paths() == [SUBMISSIONS, ANNUAL, QUARTERLY]
    assert fetch.files() == ["0000001001-23-000005.json"]


def test_requests_keep_the_rate_and_name_the_contact(fetch: Fetch) -> None:
    assert fetch("--per-second", "8", years="2005-2023") == 0
    times = [time for _, _, time in fetch.edgar.asked]
    assert len(times) == 5
    assert times[-1] - times[0] >= 4 / 8 - 0.05
    assert {headers["User-Agent"] for _, headers, _ in fetch.edgar.asked} == {CONTACT}


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (("--contact", "Example Bank"), "a name and an e-mail address"),
        (("--contact", ""), "EDGAR_CONTACT"),
        (("--contact", "Bank a@b.example\r\nX: y"), "a name and an e-mail address"),
        (("--per-second", "11"), "up to 10 expected"),
        (("--budget-seconds", "0"), "above 0 expected"),
        (("--loopback", "http://10.0.0.1:80"), "no other host"),
        (("--years", "2023-2021"), "--years"),
        (("--company", "NONE"), "no company with the ticker 'NONE'"),
    ],
)
def test_a_wrong_command_line_is_one_message(
    fetch: Fetch, capsys: pytest.CaptureFixture[str], others: tuple[str, str], message: str
) -> None:
    assert fetch(*others) == 2
    assert message in capsys.readouterr().err
    assert set(fetch.edgar.paths()) <= {"/files/company_tickers.json"}


def test_a_folder_that_another_command_writes_to_is_refused(
    fetch: Fetch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch.out.mkdir()
    with (fetch.out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fetch() == 2
    assert "another command writes to the folder" in capsys.readouterr().err


def test_years_without_a_filing_are_a_failure(
    fetch: Fetch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(years="2019") == 1
    assert "ALDER TOOLS INC: no 10-K, 10-Q of 2019-2019" in capsys.readouterr().err


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"name": "x"},
        edgar_server.submissions(filings={"recent": {}, "files": []}),
        edgar_server.submissions(
            filings={
                "recent": edgar_server.columns(edgar_server.RECENT) | {"form": []},
                "files": [],
            }
        ),
        edgar_server.submissions(
            filings={
                "recent": edgar_server.columns([("1", "10-K", "2023-01-01", "", "../../x")]),
                "files": [],
            }
        ),
        edgar_server.submissions(
            filings={"recent": edgar_server.columns([]), "files": [{"name": "../x.json"}]}
        ),
    ],
)
def test_another_shape_than_edgar_s_is_refused(
    fetch: Fetch, capsys: pytest.CaptureFixture[str], document: object
) -> None:
    fetch.edgar.answers[SUBMISSIONS] = [Answer(document)]
    assert fetch() == 1
    assert SUBMISSIONS in capsys.readouterr().err
    assert fetch.edgar.paths() == [SUBMISSIONS]


def test_a_page_is_decoded_by_its_own_word_else_as_utf_8_else_as_windows_1252() -> None:
    assert text('<meta charset="iso-8859-1"><p>é</p>'.encode("latin-1")) == "é"
    assert text("<p>“plan”</p>".encode()) == "“plan”"
    assert text("<p>“plan”</p>".encode("windows-1252")) == "“plan”"


@pytest.mark.parametrize(
    ("whole", "found"),
    [
        ("Item 1A. Risk Factors 12\nItem 1B. Staff", None),
        ("Item 1A. Executive Officers\nNames.\nItem 2. Properties", None),
        ("Item 1A. Risk Factors\nWe may fail.\nPART II", "Item 1A. Risk Factors\nWe may fail."),
        ("Item 1A - Risk Factors\nSee Item 2 of it.\nSIGNATURES",
            "Item 1A - Risk Factors\nSee Item 2 of it."),
        ("Item 1A. Risk Factors\nItem 7 of this report has more.\nItem 2. Properties",
            "Item 1A. Risk Factors\nItem 7 of this report has more."),
        ("Item 1A. Risk Factors\nWithout an end.", "Item 1A. Risk Factors\nWithout an end."),
        ("Business\nNothing.", None),
    ],
)  # fmt: skip
def test_the_section_is_the_longest_between_two_titles(whole: str, found: str | None) -> None:
    assert section(whole) == found
