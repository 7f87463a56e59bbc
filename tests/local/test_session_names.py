"""A data scientist's session has the login name, as in AWS; a name that STS refuses is not used."""

import getpass

import pytest

from pipeline.local.setup.session_names import session_name


def no_such_user() -> str:
    raise KeyError("getpwuid(): uid not found: 1234")


@pytest.mark.parametrize(
    ("login", "named"),
    [
        ("anna", "anna"),
        ("anna@example.com", "anna@example.com"),
        ("BANK\\anna b", "BANK-anna-b"),
        ("ä", "local-scientist"),
        ("", "local-scientist"),
        ("x" * 70, "x" * 64),
    ],
)
def test_a_scientist_is_named_after_the_login(
    monkeypatch: pytest.MonkeyPatch, login: str, named: str
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: login)
    assert session_name("scientist") == named


def test_a_user_without_a_name_is_still_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", no_such_user)
    assert session_name("scientist") == "local-scientist"


def test_only_a_given_name_makes_the_approver_the_same_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    assert session_name("approver") == "local-approver"
    assert session_name("approver", "anna") == session_name("scientist") == "anna"
