"""Answers equal those of a slow search through what the history was made of, for 200 histories."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from steps.trace.aliases import as_recorded
from steps.trace.answer import Aliases, Answer, Question, composed
from steps.trace.filing import seen_by
from steps.trace.history import History
from steps.trace.index import filings
from steps.trace.index.files import IndexFolder
from steps.trace.index.refresh import refresh
from steps.trace.people.principal import acts_of
from steps.trace.questions import of_execution, of_model, of_table
from steps.trace.store import FolderStore
from tests.support.folders import write
from tests.support.histories import PEOPLE, ROLE, Execution, Made, Size, accession, made

Pairs = set[tuple[str, str]]
IN_A_TEST = 20
REST = range(IN_A_TEST, 200, IN_A_TEST)


def pairs(history: Made) -> Pairs:
    """Every edge, from what was made."""
    found: Pairs = set()
    for each in history.plain:
        raw, curated = (f"table:{name}@{version}" for name, version in (each.raw, each.curated))
        found |= {(raw, f"prepare:{each.id}"), (f"prepare:{each.id}", curated)}
        for job in each.jobs:
            found |= {(curated, f"train:{job}"), (f"base:{each.base}@{'0' * 40}", f"train:{job}")}
        if each.model:
            found.add((f"train:{each.jobs[-1]}", node(each)))
    return found


def node(execution: Execution) -> str:
    assert execution.model
    return f"model:{execution.model[0]}@{execution.model[1]}"


def reached(start: Iterable[str], edges: Pairs) -> set[str]:
    """All that edges lead to, found by adding to the set until nothing is added."""
    found = set(start)
    while more := {target for source, target in edges if source in found} - found:
        found |= more
    return found - set(start)


def holders(history: Made) -> dict[tuple[str, str], int]:
    """Every alias, by doing each registration and decision in the order of their times."""
    events = [(each.at, {"model": each.model[0], "version": each.model[1], "alias": each.alias})
              for each in history.plain if each.model]  # fmt: skip
    events += [(each["at"], each) for each in history.approvals]
    now: dict[tuple[str, str], int | None] = {}
    for _, event in sorted(events, key=lambda pair: (pair[0], pair[1]["version"])):
        pair = event["model"], event["alias"]
        if event.get("action") != "revoke":
            now[pair] = event["version"]
        elif event["replaced"] is not None or now.get(pair) == event["version"]:
            now[pair] = event["replaced"]
    return {pair: version for pair, version in now.items() if version is not None}


class Checked:
    """One history, indexed, and the search through what it was made of."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.made = made(Size(), seed)
        write(folder / "evidence", self.made.objects)
        index_folder = IndexFolder(folder / "index", "test")
        refresh(FolderStore(folder / "evidence"), index_folder)
        index = index_folder.open()
        assert index is not None
        assert index_folder.notes == []
        self.parts = index_folder.paths(index)
        self.history = History.of(index.rows)
        self.edges = pairs(self.made)
        self.back = {(target, source) for source, target in self.edges}
        self.holders = holders(self.made)
        self.aliases = Aliases(as_recorded(self.history))

    def check(self, starts: set[str], expected: set[str]) -> Answer:
        """Compare an answer with the search from the same nodes."""
        assert starts == expected
        answer = composed(self.history, starts, Question("model", "x"), self.aliases)
        up, down = reached(expected, self.back), reached(expected, self.edges)
        pointing = {
            f"alias:{model}@{alias}"
            for (model, alias), version in self.holders.items()
            if f"model:{model}@{version}" in down | expected
        }
        assert answer.upstream == up - expected
        assert answer.downstream == (down | pointing) - expected
        among = [
            pair for pair in self.edges
            if set(pair) <= up | expected or set(pair) <= down | expected
        ]  # fmt: skip
        shown = [(e.source, e.target) for e in answer.edges if not e.target.startswith("alias:")]
        assert sorted(shown) == sorted(among)
        self.people(answer)
        return answer

    def people(self, answer: Answer) -> None:
        """Compare who started and who decided with what was made."""
        named = {n for n in answer.nodes if n.startswith("model:")}
        started = [e.id for e in self.made.plain if e.model and node(e) in named]
        acts = [act for act in answer.people if act["verb"] == "started"]
        assert len(acts) == len(started)
        decided = sorted(
            (e["at"], "approver@example.com", e["action"], e["alias"], "good")
            for e in self.made.approvals if f"model:{e['model']}@{e['version']}" in named
        )  # fmt: skip
        verbs = {"approved": "approve", "revoked": "revoke"}
        assert decided == sorted(
            (act["at"], act["who"], verbs[act["verb"]], act["alias"], act["reason"])
            for act in answer.people if act["verb"] != "started"
        )  # fmt: skip


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.long) for n in REST)])
def test_answers_equal_those_of_a_slow_search(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + IN_A_TEST):
        checked = Checked(seed, tmp_path / str(seed))
        assert as_recorded(checked.history) == checked.holders
        models(checked)
        executions(checked)
        tables(checked)
        every_filing(checked)
        principals(checked)


def models(checked: Checked) -> None:
    for each in checked.made.plain:
        if each.model:
            name, version = each.model
            found = of_model(checked.history, f"{name}@{version}", checked.aliases)
            checked.check(found, {node(each)})
    for (name, alias), version in checked.holders.items():
        found = of_model(checked.history, f"{name}@{alias}", checked.aliases)
        assert found == {f"model:{name}@{version}"}


def executions(checked: Checked) -> None:
    for each in checked.made.plain:
        expected = {f"prepare:{each.id}", *(f"train:{job}" for job in each.jobs)}
        expected |= {node(each)} if each.model else set()
        checked.check(of_execution(checked.history, each.arn), expected)


def tables(checked: Checked) -> None:
    versions = {pair for each in checked.made.plain for pair in (each.raw, each.curated)}
    for name, version in versions:
        found = of_table(checked.history, name, version)
        checked.check(found, {f"table:{name}@{version}"})
        every = {f"table:{name}@{number}" for other, number in versions if other == name}
        checked.check(of_table(checked.history, name, None), every)


def every_filing(checked: Checked) -> None:
    plain = checked.made.plain
    jobs = {job: each for each in plain for job in each.jobs}
    for number in range(Size().filings):
        wanted = accession(number)
        direct = {each.id: each.filings[wanted] for each in plain if wanted in (each.filings or {})}
        seen = filings.find(checked.parts, wanted)
        found = seen_by(checked.history, seen, checked.aliases)
        curated = {f"table:{e.curated[0]}@{e.curated[1]}" for e in plain if e.id in direct}
        checked.check(found.starts, curated)
        extra = found.extra["filing"]
        got = {e["execution"]: (e["examples_train"], e["examples_eval"]) for e in extra["seen"]}
        assert got == direct
        downstream = reached(curated, checked.edges)
        affected = {
            job: each for job, each in jobs.items() if f"train:{job}" in downstream
        }  # fmt: skip
        named = {j: e for j, e in affected.items() if e.model and j == e.jobs[-1]}
        only_eval = {j for j, e in named.items() if direct.get(e.id, (1, 0))[0] == 0}
        forget = extra["forget"]
        assert {e["training_job"] for e in forget["retrain"]} == named.keys() - only_eval
        assert {e["training_job"] for e in forget["evaluate_again"]} == only_eval
        archives = {e["training_job"] for e in forget["delete_archives"]}
        assert archives == affected.keys() - named.keys()
        rewritten = {f"table:{e['table']}@{e['version']}" for e in forget["rewrite_tables"]}
        assert rewritten == curated | {n for n in downstream if n.startswith("table:")}
        for entry in forget["retrain"]:
            pair = (entry["model"], entry["model_version"])
            expected = {a for (m, a), v in checked.holders.items() if (m, v) == pair}
            assert set(entry["aliases_recorded"]) == expected
        unknown = {e["execution"] for e in extra["not_recorded"]}
        assert unknown == {each.id for each in plain if each.filings is None}


def principals(checked: Checked) -> None:
    plain = checked.made.plain
    registered = [each for each in plain if each.model]
    trains = {f"train:{job}" for each in plain for job in each.jobs}
    checked.check(acts_of(checked.history, PEOPLE[0]).starts, {f"prepare:{e.id}" for e in plain})
    checked.check(acts_of(checked.history, PEOPLE[1]).starts, trains)
    if registered:
        checked.check(acts_of(checked.history, PEOPLE[2]).starts, {node(e) for e in registered})
        ran = {f"prepare:{e.id}" for e in registered}
        checked.check(acts_of(checked.history, f"{ROLE}prepare").starts, ran)
    if checked.made.approvals:
        decided = {f"model:{e['model']}@{e['version']}" for e in checked.made.approvals}
        checked.check(acts_of(checked.history, "approver@example.com").starts, decided)
