"""The page is one file without scripts or external resources, escaped, and readable when large."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from steps.trace.aliases import as_recorded
from steps.trace.answer import Aliases, Answer, Question, composed
from steps.trace.history import History
from steps.trace.index.files import IndexFolder
from steps.trace.index.refresh import refresh
from steps.trace.page.html import render
from steps.trace.page.layout import HEIGHT, MOST_ROWS, WIDTH, Graph, placed
from steps.trace.questions import of_model, of_table
from steps.trace.store import FolderStore
from steps.trace.text import did
from tests.support.folders import write
from tests.support.histories import Size, made

LOADING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}


class Elements(HTMLParser):
    """Every element of a page, and every attribute that loads or runs something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loading: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loading += [pair for pair in attrs if pair[0] in LOADING or pair[0].startswith("on")]


def answered(folder: Path, size: Size, table: str | None = None) -> Answer:
    history = made(size, 2)
    write(folder / "evidence", history.objects)
    index = refresh(FolderStore(folder / "evidence"), IndexFolder(folder / "index", "test"))
    found = History.of(index.rows)
    aliases = Aliases(as_recorded(found))
    if table:
        return composed(found, of_table(found, table, None), Question("table", table), aliases)
    starts = of_model(found, "edgar.models.m0000@1", aliases)
    return composed(found, starts, Question("model", "edgar.models.m0000@1"), aliases)


@pytest.fixture
def small(tmp_path: Path) -> Answer:
    return answered(tmp_path, Size(executions=3, plain=True))


def test_the_page_loads_and_runs_nothing(small: Answer) -> None:
    page = render(small)
    elements = Elements()
    elements.feed(page)
    assert elements.loading == []
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(elements.tags)
    assert elements.tags.count("svg") == 1
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page
    assert re.findall(r"https?://[^\s\"'<]*", page) == []


def test_the_graph_shows_each_step_and_who_did_it_with_which_right(small: Answer) -> None:
    svg = re.search(r"<svg.*</svg>", render(small), re.DOTALL)
    assert svg is not None
    for text in ("Prepare job", "Train job", "@", "11111111-prepare", "SELECT", "registered",
                 "as of the record", "base model"):  # fmt: skip
        assert text in svg[0]


def test_the_page_states_who_started_and_who_allowed(small: Answer) -> None:
    page = render(small)
    assert small.people
    for act in small.people:
        assert f"<td>{act['who'] or 'not recorded'}</td>" in page
        assert did(act) in page


def test_hostile_names_stay_text(small: Answer) -> None:
    hostile = "</title><script>alert(1)</script>\x1b[31m\u202e"
    details = {node: each | {"licence": hostile} for node, each in small.details.items()}
    changed = Answer(
        Question("filing", hostile), small.starts, small.upstream, small.downstream, small.edges,
        details, small.versions, notes=(hostile,), unreadable=((hostile, hostile),),
    )  # fmt: skip
    page = render(changed)
    elements = Elements()
    elements.feed(page)
    assert "script" not in elements.tags
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_downstream_of_many_versions_stays_readable(tmp_path: Path) -> None:
    size = Size(executions=60, models=60, tables=1, plain=True)
    answer = answered(tmp_path, size, "edgar.raw.t000")
    graph = placed(answer)
    columns: dict[int, int] = {}
    for box in graph.boxes.values():
        columns[box.column] = columns.get(box.column, 0) + 1
    assert max(columns.values()) == MOST_ROWS + 1
    assert "and 50 more" in render(answer)
    hidden = sum(box.hidden for box in graph.boxes.values())
    shown = sum(not box.hidden for box in graph.boxes.values())
    assert hidden + shown == len(answer.nodes)
    check_drawing(graph)


def test_boxes_do_not_overlap_and_lines_lead_to_the_right(small: Answer) -> None:
    check_drawing(placed(small))


def check_drawing(graph: Graph) -> None:
    boxes = list(graph.boxes.values())
    for number, one in enumerate(boxes):
        assert 0 <= one.x <= graph.width - WIDTH
        assert 0 <= one.y <= graph.height - HEIGHT
        for other in boxes[number + 1 :]:
            assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
    assert all(line.source.column < line.target.column for line in graph.lines)
