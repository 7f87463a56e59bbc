"""The tables of rights notice a wrong policy: each mutant of the template changes an answer.

The whole set prints `killed/total`; a sample of it runs each time. The survivors are signed.py's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest

from tests.local.aws.rights import checks, mutants, signed, world
from tests.local.aws.rights.checks import Check
from tests.local.aws.rights.mutants import Mutant
from tests.local.aws.rights.world import Document, World

SAMPLE = 25  # each 25th of some 1,850
GOAL = 0.95


@pytest.fixture(scope="module")
def account() -> World:
    return world.read()


@pytest.fixture(scope="module")
def checks_of() -> Callable[[Document], Iterable[Check]]:
    """The checks whose answer a document can change."""
    found: dict[str, list[Check]] = defaultdict(list)
    for check in checks.every():
        for name in check.of:
            found[name].append(check)
    return lambda document: [
        check for name in document.of for check in found[f"{document.kind} {name}"]
    ]


def survivors(
    account: World, checks_of: Callable[[Document], Iterable[Check]], every: int
) -> tuple[set[tuple[str, str]], int]:
    """The mutants that no check notices, and how many were made."""
    every_one = [each for document in account.documents.values() for each in mutants.of(document)]
    chosen = every_one[::every]
    left = {(each.document, each.what) for each in chosen if not killed(account, each, checks_of)}
    return left, len(chosen)


def killed(
    account: World, mutant: Mutant, checks_of: Callable[[Document], Iterable[Check]]
) -> bool:
    document = account.documents[mutant.document]
    changed = account.with_document(mutant.document, mutant.body)
    return any(not check.holds(changed) for check in checks_of(document))


def test_the_templates_policies_decide_as_the_tables_say(account: World) -> None:
    found = checks.every()
    assert len(found) > 20_000
    assert [check.text for check in found if not check.holds(account)] == []


def test_a_wrong_policy_is_noticed(
    account: World, checks_of: Callable[[Document], Iterable[Check]]
) -> None:
    left, made = survivors(account, checks_of, SAMPLE)
    assert made > 70
    assert left <= set(signed.EQUIVALENT) | signed.NOT_KILLED


@pytest.mark.long
def test_every_wrong_policy_is_noticed_but_the_signed_ones(
    account: World, checks_of: Callable[[Document], Iterable[Check]]
) -> None:
    left, made = survivors(account, checks_of, 1)
    different = made - len(signed.EQUIVALENT)
    dead = made - len(left)
    print(f"killed {dead}/{different} of {made} mutants")  # noqa: T201  # the figure is the result
    assert left == set(signed.EQUIVALENT) | signed.NOT_KILLED
    assert dead / different >= GOAL


def test_no_statement_allows_every_action_of_a_service(account: World) -> None:
    wide = [
        (document.name, action)
        for document in account.documents.values()
        for statement in document.parsed
        for action in statement.actions
        if statement.effect == "Allow" and "*" in action
    ]
    assert wide == []


def test_each_statement_that_allows_something_everywhere_is_signed(account: World) -> None:
    everywhere = {
        (document.name, statement.sid)
        for document in account.documents.values()
        for statement in document.parsed
        if statement.effect == "Allow" and "*" in statement.resources
    }
    assert everywhere == set(signed.STARS)


def test_the_evaluated_documents_have_every_statement_of_the_layers(account: World) -> None:
    """An option that is off would leave its statements untested."""
    text = "".join(path.read_text() for path in sorted(world.infrastructure.FOLDER.glob("*.yaml")))
    sids = {statement.sid for each in account.documents.values() for statement in each.parsed}
    assert {word for word in text.split() if text.count(f"Sid: {word}\n")} <= sids
    assert len(sids) > 60
