import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from jasr.evaluation.picture import Picture
from jasr.evaluation.report import render_report, write_report
from jasr.evaluation.scoring import score_utterance

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Every element with its attributes and text, checking that each one is closed."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.elements = [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data):
        for place in self.open:
            self.elements[place][2] += data

    def find(self, tag, css=None):
        return [
            (attributes, " ".join(text.split()))
            for name, attributes, text in self.elements
            if name == tag and (css is None or css in (attributes.get("class") or "").split())
        ]


@pytest.fixture
def scores(make_scores):
    return make_scores(
        ("right", "the cat sat", "the cat sat"),
        ("wrong", "a small bird sang here loudly", "a tall bird here loudly now"),
        ("worse", "one two three", "for five six seven"),
    )


@pytest.fixture
def render(summary_of):
    def page(scores, pictures=None):
        source = render_report(
            scores, summary_of(scores), title="spoken · test", pictures=pictures or {}
        )
        return Page(source), source

    return page


def picture(image=None, **fields):
    image = np.arange(12, dtype=np.float32).reshape(3, 4) if image is None else image
    labels = {"title": "log-mel", "x_label": "time, s", "y_label": "mel band"}
    return Picture(**labels | {"image": image, "extent": (0.0, 2.0, 0.0, 80.0)} | fields)


def test_rates_and_counts_are_told(scores, render):
    page, _ = render(scores)
    # Three substituted and one inserted in "worse"; one of each kind in "wrong".
    assert page.find("div", "rate")[0][1] == "58.33 %"
    kinds = [text for _, text in page.find("li")[:3]]
    assert kinds == ["S 4 substitutions 57 %", "D 1 deletions 14 %", "I 2 insertions 29 %"]


def test_histogram_puts_each_utterance_in_one_bar(render, make_scores):
    ten = "a b c d e f g h i j"
    page, _ = render(
        make_scores(
            ("none", ten, ten),
            ("tenth", ten, ten.replace("a", "x")),
            ("three tenths", ten, ten.replace("a b c", "x y z")),
            ("all", "a b", "x y"),
            ("more than all", "a", "x y z"),
        )
    )
    filled = [text for _, text in page.find("title")[1:] if not text.startswith("0 ")]
    assert filled == [
        f"1 utterances at {label} %" for label in ("0", "0–10", "20–30", "90–100", "> 100")
    ]


def test_worst_come_first_with_their_words_aligned(scores, render):
    page, _ = render(scores)
    articles = [text for _, text in page.find("article")]
    assert [text.split()[0] for text in articles] == ["worse", "wrong"]
    titles = [attributes["title"] for attributes, _ in page.find("span", "error")]
    assert titles[-3:] == [
        "said small, recognised tall",
        "said sang, not recognised",
        "recognised now, not said",
    ]


def test_all_right_is_a_page_too(make_scores, render):
    page, _ = render(make_scores(("a", "the cat", "the cat")))
    assert page.find("div", "rate")[0][1] == "0.00 %"
    assert page.find("article") == []


def test_nothing_said_is_a_page_too(make_scores, render):
    page, _ = render(make_scores(("a", "", "")), {"a": [picture()]})
    assert "nothing said, nothing recognised" in page.find("article")[0][1]


def test_text_is_text_wherever_it_comes_from(render):
    evil = "<script>alert(1)</script> \"'>&lt;"
    other = "<img src=x onerror=alert(1)>"
    scores = [score_utterance(evil, evil, other, normalize=str, duration=1.0)]
    drawn = picture(title=evil, x_label=evil, y_label=other, row_labels=(evil, other, "c"))
    page, source = render(scores, {evil: [drawn]})
    assert page.find("script") == page.find("img") == []
    assert not any(
        name.startswith("on") for _, attributes, _ in page.elements for name in attributes
    )
    assert page.find("code")[-2][1] == " ".join(evil.split())
    assert "<script" not in source


def test_page_needs_nothing_but_itself(scores, render):
    page, source = render(scores, {"wrong": [picture()]})
    links = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"']*)""", source)
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert not re.search(r"https?:|url\(|@import|<link|<script", source)
    assert "default-src 'none'" in page.find("meta")[1][0]["content"]


def pixels_of(page):
    [(attributes, _)] = page.find("image")
    return imread(io.BytesIO(base64.b64decode(attributes["href"].split(",")[1])))


def test_picture_has_its_first_row_at_the_bottom(scores, render):
    image = np.zeros((3, 4), np.float32)
    image[0, 3] = 1.0
    pixels = pixels_of(render(scores, {"wrong": [picture(image)]})[0])
    assert pixels.shape[:2] == (3, 4)
    brightness = pixels[..., :3].sum(axis=-1)
    assert np.unravel_index(brightness.argmax(), (3, 4)) == (2, 3)


def test_picture_of_nothing_finite_is_grey(scores, render):
    pixels = pixels_of(render(scores, {"wrong": [picture(np.full((2, 2), np.nan))]})[0])
    np.testing.assert_allclose(pixels[..., :3], 128 / 255, atol=0.01)


def test_axes_carry_the_units_of_the_extent(scores, render):
    page, _ = render(scores, {"wrong": [picture(extent=(0.5, 2.0, 0.0, 80.0))]})
    image = {name: float(page.find("image")[0][0][name]) for name in ("x", "width", "y", "height")}
    [drawing] = [text for _, text in page.find("svg") if "mel band" in text]
    numbers = drawing.removesuffix(" time, s mel band").split()
    assert numbers == [
        "0.6",
        "0.8",
        "1",
        "1.2",
        "1.4",
        "1.6",
        "1.8",
        "2",
        "0",
        "20",
        "40",
        "60",
        "80",
    ]
    for attributes, text in page.find("text")[-len(numbers) - 2 : -2]:
        if attributes["text-anchor"] == "middle":
            expected = image["x"] + (float(text) - 0.5) / 1.5 * image["width"]
            assert float(attributes["x"]) == pytest.approx(expected, abs=0.06)
        else:
            expected = image["y"] + (1 - float(text) / 80) * image["height"]
            assert float(attributes["y"]) == pytest.approx(expected, abs=0.06)


def test_rows_can_be_named(scores, render):
    labels = ("th", "e", " ")
    page, _ = render(scores, {"wrong": [picture(row_labels=labels)]})
    heights = {text: float(a["y"]) for a, text in page.find("text") if text in {"th", "e", "␣"}}
    assert heights["th"] > heights["e"] > heights["␣"]


def test_report_is_written_whole(scores, summary_of, tmp_path):
    for title in ("first", "second"):
        write_report(tmp_path, scores, summary_of(scores), title=title, pictures={})
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "second" in (tmp_path / "report.html").read_text(encoding="utf-8")
