"""The report's page and model card have all its content, and foreign text in them stays text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import tostring

import pytest
import yaml
from huggingface_hub import ModelCard

from steps.governance.pages import charts as svg_charts
from steps.register.package import artifact
from steps.train.export import model_folder
from steps.train.report import findings, html_page, model_card
from tests.steps.train.support.findings_example import HOSTILE, document, measured
from tests.steps.train.support.findings_example import findings as example

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Outline(HTMLParser):
    """The page's tags with their attributes, and its text. Tags must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._open = "", list[str]()
        self.feed(text)
        self.close()
        assert not self._open, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self._open and self._open[-1] != "style" else ""


def test_a_hostile_sample_stays_text() -> None:
    outline = Outline(html_page.render(example()))
    assert HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd") in outline.text
    assert not {tag for tag, _ in outline.tags} & {
        "script",
        "img",
        "iframe",
        "object",
        "link",
        "a",
        "form",
    }
    assert not [
        name for _, attributes in outline.tags for name in attributes if name.startswith("on")
    ]


def test_the_page_names_no_other_resource_and_forbids_the_browser_to_load_any() -> None:
    text = html_page.render(example(sample={"example_id": "x", "base": "a", "tuned": "b"}))
    outline = Outline(text)
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert not [
        name for _, attributes in outline.tags for name in attributes if name in ("src", "href")
    ]
    policy = next(a["content"] for tag, a in outline.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_shows_every_number_a_reader_decides_by() -> None:
    text = Outline(html_page.render(example())).text
    for expected in (
        "2.1000", "8.1660", "3.2000", "2023", "finance | banks", "edgar.raw.filings, version 4",
        "lost tokens: prompt cut", "apache-2.0", "storage (asked for auto), bfloat16, NVIDIA A10G",
        "c" * 40, "d" * 64, "step 150", "Resumed at step 50", "ended early", "0.019",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_charts_are_there_and_the_best_step_has_a_ring() -> None:
    text = html_page.render(example())
    assert text.count("<svg") == text.count("</svg>") == 6  # each for two widths
    assert text.count('r="7"') == 2
    assert text.count('r="3"') == 2 * 5, "one dot for each evaluation, that of the base included"


@pytest.mark.parametrize(
    ("passes", "expected", "absent"),
    [
        (
            {"whole_passes": 2, "sample_passes": 4},
            "4 evaluations on the way measured a sample of 16 of them,",
            "measured all of them",
        ),
        (
            {"whole_passes": 6, "sample_passes": 0},
            "6 evaluations measured all of them.",
            "on the way",
        ),
    ],
)
def test_the_page_states_what_the_evaluations_measured(
    passes: dict[str, int], expected: str, absent: str
) -> None:
    text = " ".join(Outline(html_page.render(example(metrics=measured(**passes)))).text.split())
    assert f"Both losses are of all these examples. Each of the {expected}" in text
    assert "All evaluations took 11.7 % of the work." in text
    assert absent not in text


def test_a_line_of_the_samples_losses_begins_with_the_sample() -> None:
    """3.10 of all, 3.00 of the sample, and 3.05 of it later: the line rises."""
    metrics = measured(whole_passes=2, sample_passes=1)
    metrics |= {"eval_loss_before": 3.1, "eval_sample_loss_before": 3.0, "best_step": 50}
    later = [{"step": 50, "eval_sample_loss": 3.05}]
    text = html_page.render(example(metrics=metrics, curve=[], evaluations=later))
    first, second, *_ = re.findall(r'cy="([0-9.]+)" r="3"', text)
    assert float(second) < float(first), "higher on the page"
    assert ">eval loss of the sample<" in text


def test_a_run_of_one_step_and_one_that_diverged_can_be_drawn() -> None:
    entry = {"step": 1, "train_loss": float("nan"), "learning_rate": 0.0002}
    text = html_page.render(example(curve=[entry], evaluations=[{"step": 1, "eval_loss": 2.0}]))
    assert not re.search(r"[\" ,]nan[\", <]", text)
    assert html_page.render(example(curve=[], evaluations=[], by_year=[], by_group=[], lengths={}))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1.93, 3.31, [1.5, 2.0, 2.5, 3.0, 3.5]),
        (0.0, 0.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0][:2]),
        (0.0, 2e-4, [0, 5e-5, 1e-4, 1.5e-4, 2e-4]),
        (-3.0, 5.0, [-4, -2, 0, 2, 4, 6]),
    ],
)
def test_ticks_are_round_and_cover_all_values(
    low: float, high: float, expected: list[float]
) -> None:
    assert svg_charts.ticks(low, high) == pytest.approx(expected)


def test_bars_are_as_high_as_their_values() -> None:
    svg = svg_charts.bars(["a", "b"], {"one": [1, 2], "two": [0, 4]}, x="", y="")
    heights = [
        float(rect.attrib["height"]) for rect in svg.iter("rect") if rect.find("title") is not None
    ]
    assert heights == pytest.approx([heights[3] / 4, heights[3] / 2, 0, heights[3]], abs=0.1)


def test_a_label_cannot_become_markup() -> None:
    hostile = [
        svg_charts.Line("<script>", [(0, 1), (1, 2)]),
        svg_charts.Line("</svg><img>", [(0, 2)]),
    ]
    svg = svg_charts.lines(hostile, x="<b>", y="&")
    assert {tag for tag, _ in Outline(tostring(svg, encoding="unicode")).tags} == {
        *("svg", "title", "text", "line", "polyline", "rect", "circle")
    }


def test_a_long_curve_is_thinned_by_means_so_that_register_takes_the_report() -> None:
    curve = [{"step": float(s), "train_loss": float(s % 2)} for s in range(1, 300_001)]
    points, together = findings.thinned(curve)
    assert (len(points), together) == (findings.CURVE_POINTS, 300)
    assert points[0] == {"step": 300.0, "train_loss": 0.5}
    assert findings.thinned(curve[:4]) == (curve[:4], 1)
    longest = example(curve=points, evaluations=points)
    for text, name in (
        (longest.model_dump_json(indent=2), "report.json"),
        (html_page.render(longest), "report.html"),
    ):
        assert len(text) < artifact.ALLOWED[name] / 10


def test_the_front_matter_is_what_the_hub_reads() -> None:
    read = ModelCard(model_card.render(example())).data
    assert (read.base_model, read.library_name, read.pipeline_tag) == (
        "mistralai/Ministral-3-3B-Instruct-2512", "peft", "text-generation"
    )  # fmt: skip
    assert read.eval_results is not None
    assert {(result.metric_type, result.metric_value) for result in read.eval_results} == {
        ("loss", 2.1),
        ("perplexity", 8.166),
    }
    assert read.license is None, "nobody has given the adapter one"


def test_a_name_that_yaml_would_read_as_a_number_stays_text() -> None:
    lineage = document()["lineage"]
    lineage["base_model"]["name"] = "1.0"
    front_matter = model_card.render(example(lineage=lineage)).split("---\n")[1]
    assert yaml.safe_load(front_matter)["base_model"] == "1.0"


def test_the_card_states_the_mirrors_licence_or_that_it_has_none() -> None:
    assert "Base model: apache-2.0, as its mirror states." in model_card.render(example())
    lineage = document()["lineage"]
    lineage["base_model"]["licence"] = None
    stated = model_card.render(example(lineage=lineage))
    assert "Base model: not stated by its mirror." in stated
    assert "apache" not in stated


def test_the_card_has_data_metrics_and_lineage_ids() -> None:
    text = model_card.render(example())
    for expected in (
        "| eval loss (nats per target token) | 3.2000 | 2.1000 |",
        "8123 tokens of 43 held-out examples", "| eval perplexity | 24.53 | 8.166 |",
        "| 2023 | 800 | 3.2 | 2 |", "| finance \\| banks | 4000 | – | 2.2 |", "36 of 62 filings",
        "9 prompt_cut", "`arn:aws:sagemaker:", "`pipelines-abcdefghijkl-Train`",
        "curated-id version 3", "raw-id version 4", "a" * 64, "b" * 40, "d" * 64, "c" * 40,
        "resumed at step 50", "ended early", "differ by 0.019",
    ):  # fmt: skip
        assert expected in text, expected
    assert "<script>" not in text, "the card holds no answers"


def test_the_archives_list_has_every_document_and_refuses_a_stray_file(tmp_path: Path) -> None:
    for name in ("report.json", "report.html", "README.md"):
        (tmp_path / name).write_text(name)
    assert [entry.path for entry in model_folder.entries(tmp_path)] == [
        "README.md",
        "report.html",
        "report.json",
    ]
    (tmp_path / "optimizer.pt").write_text("x")
    with pytest.raises(RuntimeError, match=r"got \['optimizer\.pt'\]: name it in the list"):
        model_folder.entries(tmp_path)


def test_the_document_is_equal_after_writing_and_reading() -> None:
    found = example()
    content = found.model_dump_json(by_alias=True)
    assert findings.Findings.model_validate_json(content) == found
    assert json.loads(content)["metrics"]["eval_loss"] == 2.1


def test_hostile_values_stay_text_in_the_card() -> None:
    lineage = document()["lineage"]
    lineage["base_model"]["name"] = "<script>|`x`\n# Heading"
    lineage["training_job"] = "`<script>`\n* item"
    hostile = {"name": "a|b\n<b>", "tokens": 1, "eval_loss_before": 1.0, "eval_loss": 2.0}
    text = model_card.render(example(lineage=lineage, by_group=[hostile])).split("---\n", 2)[2]
    assert "# LoRA adapter for &lt;script&gt;\\|\\`x\\` # Heading\n" in text
    assert "* training job: `'&lt;script&gt;' * item`\n".replace("'", "&#39;") in text
    assert "| a\\|b &lt;b&gt; | 1 | 1 | 2 |\n" in text


def test_both_charts_over_steps_have_one_axis() -> None:
    points = [{"step": step, "train_loss": 3.0, "learning_rate": 1e-4} for step in (1, 2, 3)]
    page = html_page.render(example(curve=points, evaluations=[]))
    axes = [
        re.findall(r'<text x="([0-9.]+)" y="234\.0"[^>]*>([^<]*)', svg)
        for svg in page.split("<svg")[1:5:2]
    ]
    assert axes[0] == axes[1] != []


def test_page_and_card_have_the_reason_of_a_precision_and_its_figures() -> None:
    precision = {
        **document()["precision"],
        "kernels": "plain: kernel rotated: RuntimeError: <b>",
        "choice": {
            "mode": "storage",
            "predicted": "native_dx",
            "reason": "measured 1.20 times as fast as native_dx, which the roofline names",
            "tried": [
                {"mode": "storage", "tokens_per_second": 4567.8, "recomputed_layers": 3},
                {"mode": "off", "fault": "it does not fit this device"},
            ],
        },
    }
    found = example(precision=precision)
    page, card = " ".join(Outline(html_page.render(found)).text.split()), model_card.render(found)
    for text in (
        "measured 1.20 times as fast as native_dx",
        "4,568 tokens/s in the decoder layers, 3 of them recomputed",
        "it does not fit this device",
        "RuntimeError: <b>",
    ):
        assert text in page, text
    assert "Chosen: measured 1.20 times as fast" in card
    assert "RuntimeError: &lt;b&gt;" in card
    assert card.count("\n* Determinism") == 1, "the list continues"
