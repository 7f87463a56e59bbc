"""A server with the shapes of EDGAR's answers, made by hand: companies and pages are invented."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.http_server import Handler, served

RISK = "We depend on three retailers, and the loss of one could harm our revenue."
TICKERS = {
    "0": {"cik_str": 1001, "ticker": "ALDR", "title": "ALDER TOOLS INC"},
    "1": {"cik_str": 2002, "ticker": "BR-B", "title": "Birch & Co"},
}
SUBMISSIONS = "/submissions/CIK0000001001.json"
OLDER = "CIK0000001001-submissions-001.json"
COLUMNS = ("accessionNumber", "form", "filingDate", "reportDate", "primaryDocument")
RECENT = [
    ("0000001001-24-000007", "8-K", "2024-04-01", "2024-04-01", "a8k.htm"),
    ("0000001001-23-000005", "10-Q", "2023-05-02", "2023-03-31", "q1.htm"),
    ("0000001001-23-000002", "10-K", "2023-02-20", "2022-12-31", "annual report.htm"),
]
EARLIER = [("0000001001-06-000001", "10-K", "2006-02-20", "2005-12-31", "")]
ANNUAL = "/Archives/edgar/data/1001/000000100123000002/annual%20report.htm"
QUARTERLY = "/Archives/edgar/data/1001/000000100123000005/q1.htm"
WHOLE = "/Archives/edgar/data/1001/000000100106000001/0000001001-06-000001.txt"
PAGE = f"""<html><head><title>no text</title><style>p {{}}</style></head><body>
<div style="display:none"><ix:header><div>HIDDEN</div></ix:header></div>
<table><tr><td>Item 1A.</td><td>Risk Factors</td><td>12</td></tr><tr><td>Item 1B.</td></tr></table>
<p><b>Item 1. </b>Business</p><p>We make tools. Item 1A is below.</p>
<table><tr><td><b>ITEM&#160;1A.</b></td><td><b>RISK&nbsp;FACTORS</b></td></tr></table>
<p>{RISK[:18]}
{RISK[19:]}</p><div>Our <div style="display: inline">plan</div> may fail&#8212;badly.</div>
<p>Item 1B. Unresolved Staff Comments</p><p>None.</p></body></html>"""
QUARTER = f"""<html><body><p>PART I</p><p>Item 2. Discussion</p><p>PART II</p>
<p>Item 1. Legal Proceedings</p><p>Item 1A.</p><p>Risk Factors</p><p>{RISK}</p>
<p>Item 6. Exhibits</p><p>SIGNATURES</p></body></html>"""
SUBMISSION = f"""<SEC-DOCUMENT>x
<DOCUMENT>
<TYPE>EX-99
<TEXT>Item 1A. Risk Factors
An exhibit.
Item 2. Other</TEXT>
</DOCUMENT>
<DOCUMENT>
<TYPE>10-K
<TEXT>
Item 1A.  Risk Factors.

{RISK}

Item 2.  Properties
</TEXT>
</DOCUMENT>"""


def columns(rows: list[tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}


def submissions(**other: Any) -> dict[str, Any]:
    files = [{"name": OLDER, "filingFrom": "1999-01-01", "filingTo": "2010-12-31"}]
    return {
        "cik": "1001",
        "name": "ALDER TOOLS INC",
        "sic": "3420",
        "stateOfIncorporation": "DE",
        "filings": {"recent": columns(RECENT), "files": files},
    } | other


class Answer:
    """An answer; a body of None ends the connection in the middle of it."""

    def __init__(self, body: object = b"", status: int = 200, **headers: str) -> None:
        whole = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.body, self.status, self.headers = whole, status, headers


class EdgarServer:
    """`answers` has per path what is answered, in turn; the last is repeated."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str], float]] = []
        self.answers: dict[str, list[Answer]] = defaultdict(lambda: [Answer(b"none", 404)])
        self.answers |= {
            "/files/company_tickers.json": [Answer(TICKERS)],
            SUBMISSIONS: [Answer(submissions())],
            f"/submissions/{OLDER}": [Answer(columns(EARLIER))],
            ANNUAL: [Answer(PAGE.encode())],
            QUARTERLY: [Answer(QUARTER.encode())],
            WHOLE: [Answer(SUBMISSION.encode())],
        }

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class _Server(Handler):
    edgar: EdgarServer  # set in a subclass for each server

    def do_GET(self) -> None:
        edgar = self.edgar
        edgar.asked.append((self.path, dict(self.headers), time.monotonic()))
        answers = edgar.answers[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        body = b"cut" if answer.body is None else answer.body
        size = len(body) + (answer.body is None)
        stated = {name.replace("_", "-"): value for name, value in answer.headers.items()}
        own = {"Content-Length": str(size), "Connection": "close"}
        self.answer(answer.status, body, stated | own)


@contextmanager
def serving() -> Iterator[EdgarServer]:
    """The server, and its end."""
    edgar = EdgarServer()
    with served(type("Server", (_Server,), {"edgar": edgar})) as edgar.url:
        yield edgar
