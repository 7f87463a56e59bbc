"""Lineage against an HTTP server that merges nothing and loses answers: one node, one edge."""

import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from databricks.sdk.service.catalog import LineageDirection

from steps.governance.errors import AccessDenied, Conflict, NameRefused, Unavailable
from steps.governance.names import UcName, metadata_name
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import (
    Edge,
    Job,
    Lineage,
    job,
    label,
    model_version,
    table,
)
from steps.governance.unity_catalog.sdk.client import workspace_client
from tests.steps.governance.support.faked_clock import FakedClock
from tests.support.http_server import Handler, served

PREFIX = "/api/2.0/lineage-tracking"
NODE = Job(metadata_name("arn:1"), "SageMaker training job", {"execution_id": "abc"})
CURATED = table(UcName.parse("edgar.curated.examples"))


class Catalog:
    """External metadata and edges, as lists: a duplicate stays a duplicate."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[dict[str, Any]] = []
        self.posts: list[str] = []
        # For each next POST: "lose" (the answer is lost after the effect), "drop" (before the
        # effect), or a status: "403", "502", "503".
        self.spoil: list[str] = []

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("external-metadata"):
            if body["name"] in self.nodes:
                return 409, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "exists"}
            self.nodes[body["name"]] = body
        else:
            self.edges.append(body)
        return 200, body

    def get(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if "external-metadata/" in path:
            return 200, self.nodes[path.rsplit("/", 1)[-1]]
        near = "target" if query.pop("lineage_direction") == "UPSTREAM" else "source"
        wanted = {name.removeprefix("object_info."): value for name, value in query.items()}
        found = [edge for edge in self.edges if flat(edge[near]) == wanted]
        return 200, {
            "external_lineage_relationships": [{"external_lineage_info": edge} for edge in found]
        }


def flat(end: dict[str, Any]) -> dict[str, str]:
    return {
        f"{kind}.{name}": str(value)
        for kind, fields in end.items()
        for name, value in fields.items()
    }


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


class LineageServer(Handler):
    """Serves `catalog`; spoils the answers to POSTs as its `spoil` demands."""

    catalog: Catalog

    def do_POST(self) -> None:
        body = json.loads(self.body())
        self.catalog.posts.append(self.path)
        spoiled = self.catalog.spoil.pop(0) if self.catalog.spoil else ""
        if spoiled in ("502", "503"):
            self.answer_json(
                int(spoiled), {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}
            )
        elif spoiled == "403":
            text = "User does not have MODIFY on Table 'edgar.curated.examples'."
            self.answer_json(403, {"error_code": "PERMISSION_DENIED", "message": text})
        elif spoiled == "drop":
            self.drop()
        else:
            answer = self.catalog.post(self.path, body)
            if spoiled == "lose":
                self.drop()
            else:
                self.answer_json(*answer)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if not parts.path.startswith(PREFIX):
            self.answer_json(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "no"})
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.answer_json(*self.catalog.get(parts.path, query))


@pytest.fixture
def lineage(catalog: Catalog) -> Iterator[Lineage]:
    with served(type("Server", (LineageServer,), {"catalog": catalog})) as host:
        policy = FakedClock().policy()
        client = workspace_client(host, lambda: {"Authorization": "Bearer t"}, policy=policy)
        yield Lineage(Workspace(host, "the-principal", client, policy))


def test_a_node_is_made_once_however_often_it_is_asked_for(
    lineage: Lineage, catalog: Catalog
) -> None:
    for _ in range(3):
        lineage.ensure_node(NODE)
    assert list(catalog.nodes) == [NODE.name]
    assert catalog.nodes[NODE.name]["system_type"] == "OTHER"


@pytest.mark.parametrize("spoiled", ["lose", "drop", "502", "503"])
def test_a_lost_answer_to_a_node_finds_our_own_node(
    lineage: Lineage, catalog: Catalog, spoiled: str
) -> None:
    catalog.spoil = [spoiled]
    lineage.ensure_node(NODE)
    assert list(catalog.nodes) == [NODE.name]


@pytest.mark.parametrize(
    "other",
    [
        Job(NODE.name, NODE.entity_type, {"execution_id": "another"}),
        Job(NODE.name, "EMR Serverless job run", NODE.properties),
        Job(NODE.name, NODE.entity_type),
    ],
)
def test_a_node_of_another_object_is_a_conflict(lineage: Lineage, other: Job) -> None:
    lineage.ensure_node(NODE)
    with pytest.raises(Conflict, match="describes another object"):
        lineage.ensure_node(other)


@pytest.mark.parametrize("spoiled", ["", "lose", "drop", "502", "503"])
def test_an_edge_is_made_once_even_where_the_server_keeps_duplicates(
    lineage: Lineage, catalog: Catalog, spoiled: str
) -> None:
    catalog.spoil = [spoiled]
    for _ in range(2):
        lineage.ensure_edge(CURATED, job(NODE.name))
    assert len(catalog.edges) == 1


def test_a_server_that_never_answers_is_unavailable_after_three_attempts(
    lineage: Lineage, catalog: Catalog
) -> None:
    catalog.spoil = ["drop"] * 9
    with pytest.raises(Unavailable, match=r"record lineage table:edgar\.curated\.examples"):
        lineage.ensure_edge(CURATED, job(NODE.name))
    assert len(catalog.posts) == 3
    assert catalog.edges == []


COLUMNS = (("text", "prompt"), ("cik", "cik"))


@pytest.mark.parametrize("spoiled", ["", "lose", "drop", "503"])
def test_an_edge_with_columns_is_found_again_in_any_order(
    lineage: Lineage, catalog: Catalog, spoiled: str, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.spoil = [spoiled]
    for columns in (COLUMNS, reversed(COLUMNS), COLUMNS):
        lineage.ensure_edge(CURATED, job(NODE.name), columns)
        catalog.edges[0]["columns"].reverse()
    (edge,) = catalog.edges
    assert {(pair["source"], pair["target"]) for pair in edge["columns"]} == set(COLUMNS)
    assert "relates other columns" not in caplog.text


def test_an_edge_of_other_columns_stays_with_a_warning(
    lineage: Lineage, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    lineage.ensure_edge(CURATED, job(NODE.name), COLUMNS[:1])
    lineage.ensure_edge(CURATED, job(NODE.name), COLUMNS)
    assert [edge["columns"] for edge in catalog.edges] == [[{"source": "text", "target": "prompt"}]]
    assert "relates other columns" in caplog.text


def test_a_node_of_other_columns_is_another_object(lineage: Lineage, catalog: Catalog) -> None:
    node = Job(NODE.name, NODE.entity_type, NODE.properties, ("prompt",))
    lineage.ensure_node(node)
    lineage.ensure_node(node)
    assert catalog.nodes[NODE.name]["columns"] == ["prompt"]
    with pytest.raises(Conflict, match="describes another object"):
        lineage.ensure_node(Job(NODE.name, NODE.entity_type, NODE.properties, ("completion",)))


def test_a_refused_edge_names_principal_object_and_privilege(
    lineage: Lineage, catalog: Catalog
) -> None:
    catalog.spoil = ["403"]
    with pytest.raises(AccessDenied) as refusal:
        lineage.ensure_edge(CURATED, job(NODE.name))
    assert "the-principal" in str(refusal.value)
    assert "GRANT MODIFY ON TABLE edgar.curated.examples" in str(refusal.value)
    assert len(catalog.posts) == 1


def test_walking_upstream_visits_every_edge_once_even_in_a_circle(lineage: Lineage) -> None:
    raw, model = (
        table(UcName.parse("edgar.raw.filings")),
        model_version(UcName.parse("edgar.models.m"), 3),
    )
    prepare, train = job(metadata_name("prepare")), job(NODE.name)
    path = [raw, prepare, CURATED, train, model]
    for source, target in itertools.pairwise(path):
        lineage.ensure_edge(source, target)
    lineage.ensure_edge(CURATED, prepare)  # nonsense that must not make the walk endless
    walked = list(lineage.walk_upstream(model))
    assert walked[0] == Edge(label(train), "model_version:edgar.models.m/3")
    assert [edge.source for edge in walked][-1] in {"table:edgar.raw.filings", label(CURATED)}
    assert len(walked) == 5 == len(set(walked))
    assert lineage.edges(raw, LineageDirection.DOWNSTREAM) == [
        Edge("table:edgar.raw.filings", label(prepare))
    ]


@pytest.mark.parametrize(
    "name", ["../../2.1/unity-catalog/tables/a.b.c", "ft_1", "ft_" + "g" * 24, "", "FT_" + "a" * 24]
)
def test_a_metadata_name_that_could_reach_another_path_is_refused(
    lineage: Lineage, catalog: Catalog, name: str
) -> None:
    with pytest.raises(NameRefused):
        job(name)
    with pytest.raises(NameRefused):
        lineage.ensure_node(Job(name, "x"))
    assert catalog.posts == []
