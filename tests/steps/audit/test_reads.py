"""How often an audit reads: each document once, and each answer once, since calls are its time."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from steps.audit.checks.services import grants_now
from steps.audit.services.catalog import Registry
from steps.audit.services.store import Store, _instant
from steps.governance.documents.reading import Grant
from steps.governance.unity_catalog.identity import connect
from tests.steps.audit.support.world import World
from tests.steps.register.support.register_environment import RAW, REGION


def test_a_quick_audit_reads_each_document_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    plain = Store.read

    def counted(store: Store, uri: str) -> bytes:
        read[uri] += 1
        return plain(store, uri)

    monkeypatch.setattr(Store, "read", counted)
    world.audit()
    assert [uri for uri, times in read.items() if times > 1] == []
    assert sum(uri.endswith("/register/record.json") for uri in read) >= 3
    assert sum(uri.endswith("/register/record.dsse.json") for uri in read) >= 3


def test_equal_questions_of_several_threads_are_one_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.settings()
    workspace = connect(
        host=settings.databricks_host, secret_id=settings.databricks_secret_id, region=REGION
    )
    registry, asked = Registry(workspace, REGION), []
    plain = registry._get

    def counted(path: str, doing: str, query: dict[str, str]) -> dict[str, Any]:
        asked.append(path)
        return plain(path, doing, query)

    monkeypatch.setattr(registry, "_get", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: registry.grants(RAW, workspace.principal), range(8)))
    assert len(asked) == 1
    assert all(each == found[0] for each in found)
    assert ("SELECT", "edgar.raw") in found[0]


def test_a_refusal_to_show_grants_is_asked_for_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    plain = Registry._get

    def counted(registry: Registry, path: str, doing: str, query: dict[str, str]) -> dict[str, Any]:
        if "effective-permissions" in path:
            asked.append((path, query["principal"]))
        return plain(registry, path, doing, query)

    monkeypatch.setattr(Registry, "_get", counted)
    notes = [line.found for line in world.audit() if line.code == "grants.now"]
    assert any("not seen" in note for note in notes), "the auditor may not see others' grants"
    assert asked
    assert len(asked) == len(set(asked))


def test_what_everybody_holds_and_ownership_are_not_reported_as_taken_away() -> None:
    def grant(privilege: str, holder: str) -> Grant:
        return Grant(
            privilege=privilege, holder=holder, securable_type="SCHEMA", securable="edgar.raw"
        )

    held = [grant("SELECT", "p"), grant("BROWSE", "account users"), grant("OWNER", "p")]
    reading = SimpleNamespace(principal="p", table=RAW, grants=held, grants_unknown=None)
    registry = SimpleNamespace(grants=lambda table, principal: {("SELECT", "edgar.raw")})
    services = SimpleNamespace(registry=registry)
    case = SimpleNamespace(
        record=SimpleNamespace(readings=[reading]), context=SimpleNamespace(services=services)
    )
    assert grants_now(case).found == "no change"  # type: ignore[arg-type]
    held.pop(0)
    assert grants_now(case).found == "+SELECT on edgar.raw"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        1795323600.5,
        1795323600,
        "2026-11-22T05:00:00Z",
        "2026-11-22T05:00:00.500Z",
        "Sun, 22 Nov 2026 05:00:00 GMT",
    ],
)
def test_a_time_is_read_as_botocore_reads_it(text: str | float) -> None:
    assert _instant(text) == parse_timestamp(text)
    assert _instant(text).tzinfo is not None
