"""The document of a page: a title, a lead, and sections of blocks. `render` makes it into HTML.

    page = Page.model_validate_json(text)

It holds plain text, and the documents of a run (`OfRun`). Only `drawing` holds markup, of which
`render` keeps the elements of a drawing.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    """A part of a page: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Table(_Part):
    """Rows of text. `marked` are the rows to highlight; `numbers` the columns of numbers."""

    kind: Literal["table"]
    headings: list[str]
    rows: list[list[str]]
    marked: list[int] = []
    numbers: list[int] = []


class Text(_Part):
    """A paragraph. `bad` marks what needs attention."""

    kind: Literal["text"]
    text: str
    bad: bool = False


class Code(_Part):
    """Commands or other text of fixed width, as it is."""

    kind: Literal["code"]
    text: str


class Series(_Part):
    """One line of a chart: points of x and y. `ringed` is the x of the point to mark."""

    label: str
    points: list[tuple[float, float]]
    dots: bool = False
    ringed: float | None = None


class Lines(_Part):
    """A line chart."""

    kind: Literal["lines"]
    series: list[Series]
    x: str
    y: str


class Bars(_Part):
    """A bar chart: one group of bars for each class, one bar for each series."""

    kind: Literal["bars"]
    classes: list[str]
    series: dict[str, list[float]]
    x: str
    y: str


class Span(_Part):
    """One row of a time line: when it began and how long it took, in seconds."""

    name: str
    begin: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    status: str
    text: str


class TimeLine(_Part):
    """What happened when, as bars on one axis of seconds."""

    kind: Literal["time-line"]
    spans: list[Span]


class Quote(_Part):
    """One of several texts that are read next to each other."""

    title: str
    text: str


class Quotes(_Part):
    """Texts next to each other, or one below the other on a narrow screen."""

    kind: Literal["quotes"]
    quotes: list[Quote]


class Drawing(_Part):
    """A drawing as SVG."""

    kind: Literal["drawing"]
    svg: str


Block = Annotated[
    Table | Text | Code | Lines | Bars | TimeLine | Quotes | Drawing, Field(discriminator="kind")
]


class Section(_Part):
    """A heading and what is below it."""

    title: str
    blocks: list[Block]


class OfRun(_Part):
    """The documents of a run, which `run_sections` makes into sections.

    `logged` and `evaluated` are the points of its log, for a run without a report; `drawing` is the
    lineage graph as SVG.
    """

    prepared: dict[str, Any] | None
    trained: dict[str, Any] | None
    record: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    logged: list[dict[str, float]] = []
    evaluated: list[dict[str, float]] = []
    drawing: str | None = None


class Page(_Part):
    """A whole page. `tone` colours its heading: good, bad, running or plain."""

    title: str
    tone: Literal["good", "bad", "running", "plain"] = "plain"
    lead: list[str] = []
    sections: list[Section | OfRun]
