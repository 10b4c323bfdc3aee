from __future__ import annotations

import math
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.token_html import LEVELS, Span, legend_html, level_of, spans, tokens_html

ROOT = Path(__file__).resolve().parent.parent.parent


class Page(HTMLParser):
    """What a browser would make of a piece of HTML: its elements, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def titles(self) -> list[str | None]:
        return [found["title"] for _, found in self.elements if "title" in found]


def shown(text: str, starts: list[int], ends: list[int], nats: list[float], **how: int) -> Page:
    return Page(tokens_html(text, starts, ends, nats, **how))


def test_every_predicted_token_has_its_colour_and_says_its_chance() -> None:
    page = shown("God help us", [4, 9], [8, 11], [0.1, 5.0])
    assert page.text == "God help us"
    assert page.titles == ["0.10 nats, a chance of 90.5 %", "5.00 nats, a chance of 0.67 %"]
    styles = [found["style"] or "" for tag, found in page.elements if tag == "span"]
    assert "rgba(230,159,0,0)" in styles[0]
    assert "rgba(230,159,0,0.42)" in styles[1]
    assert "border-bottom:2px solid" in styles[1]


def test_the_whole_is_described_in_words() -> None:
    _, found = shown("God help us", [4, 9], [8, 11], [0.1, 5.0]).elements[0]
    assert found["role"] == "group"
    assert found["aria-label"] == (
        "2 predicted tokens coloured by their loss. Mean loss 2.55 nats. Hardest: “us” 5.00, “help” 0.10."
    )


def test_a_token_without_characters_keeps_its_place() -> None:
    page = shown("ab", [1, 0], [2, 0], [0.5, 2.0])  # the mark at the end, whose offsets are 0, 0
    assert page.text == "ab▪"
    assert page.titles[1] == "2.00 nats, a chance of 13.5 %"


def test_the_bytes_of_one_character_share_a_piece() -> None:
    assert spans("a€b", [1, 1, 1, 2], [2, 2, 2, 3], [1.0, 2.0, 0.5, 0.25]) == [
        Span("a"),
        Span("€", (1.0, 2.0, 0.5)),
        Span("b", (0.25,)),
    ]
    assert shown("€", [0, 0], [1, 1], [1.0, 2.0]).titles == ["3.00 nats, a chance of 5.0 % (2 tokens together)"]


def test_what_was_cut_off_is_plain() -> None:
    assert spans("one two three", [4], [7], [1.0]) == [Span("one "), Span("two", (1.0,)), Span(" three")]
    assert spans("one", [], [], []) == [Span("one")]
    assert shown("one", [], [], []).elements[0][1]["aria-label"] == "0 predicted tokens coloured by their loss."


def test_nothing_in_a_text_becomes_html() -> None:
    text = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=y>"
    page = shown(text, [0, 8], [8, len(text)], [1.0, 2.0])
    assert page.text == text
    assert {tag for tag, _ in page.elements} == {"div", "span"}
    assert {name for _, found in page.elements for name in found} == {"role", "aria-label", "dir", "style", "title"}


def test_half_a_character_can_be_sent() -> None:
    tokens_html("a\ud800b", [1], [2], [1.0]).encode()


def test_a_loss_that_is_no_number_is_the_hardest_and_says_so() -> None:
    page = shown("ab", [0, 1], [1, 2], [math.nan, 1.0])
    assert page.titles[0] == "its loss is not a number"
    assert "not a number" in (page.elements[0][1]["aria-label"] or "")
    assert level_of(math.nan) is LEVELS[-1]


def test_a_long_text_is_shown_in_part_and_says_so() -> None:
    page = shown("abcdef", [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [1.0] * 6, limit=4)
    assert page.text == "abcd … the first 4 of 6 tokens"
    assert len(page.titles) == 4


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        (-1e-7, "over 50 %"),
        (0.0, "over 50 %"),
        (0.693, "over 50 %"),
        (0.694, "10 to 50 %"),
        (2.31, "1 to 10 %"),
        (4.7, "0.1 to 1 %"),
        (6.91, "under 0.1 %"),
        (50.0, "under 0.1 %"),
        (math.inf, "under 0.1 %"),
    ],
)
def test_levels_by_the_chance(nats: float, words: str) -> None:
    assert level_of(nats).words == words


def test_the_legend_names_every_level() -> None:
    page = Page(legend_html())
    for level in LEVELS:
        assert level.words in page.text
    assert sum(tag == "li" for tag, _ in page.elements) == len(LEVELS)


@pytest.mark.parametrize(
    ("text", "start", "end"), [("ab", [0], [3]), ("ab", [-1], [1]), ("ab", [2], [1]), ("ab", [0, 1], [1])]
)
def test_offsets_that_do_not_fit_are_refused(text: str, start: list[int], end: list[int]) -> None:
    with pytest.raises(ValueError, match=r"of a text of 2|as many starts"):
        spans(text, start, end, [1.0])


@given(st.text(max_size=30), st.data())
def test_the_pieces_are_the_text_and_hold_every_loss(text: str, data: st.DataObject) -> None:
    offset = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(offset, offset).map(sorted), max_size=12).map(sorted))
    nats = [float(number) for number in range(len(pairs))]
    found = spans(text, [start for start, _ in pairs], [end for _, end in pairs], nats)
    assert "".join(piece.text for piece in found) == text
    assert sorted(loss for piece in found for loss in piece.nats) == nats


def _luminance(color: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(hexadecimal: str) -> tuple[float, ...]:
    return tuple(int(hexadecimal[place : place + 2], 16) for place in (1, 3, 5))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_stay_readable_and_levels_apart_in_both_themes(theme: str) -> None:
    colors = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][theme]
    ink, paper = _rgb(colors["textColor"]), _rgb(colors["backgroundColor"])
    hue = tuple(float(part) for part in (re.findall(r"rgba\((\d+),(\d+),(\d+)", legend_html())[0]))
    seen = []
    for level in LEVELS:
        back = tuple(level.alpha * h + (1 - level.alpha) * p for h, p in zip(hue, paper, strict=True))
        light, dark = sorted((_luminance(ink), _luminance(back)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # AA
        seen.append(_luminance(back))
    # One after the other they only ever grow darker, or lighter: that is what every kind of colour vision sees.
    assert seen == sorted(seen, reverse=theme == "light")
    assert len(set(seen)) == len(LEVELS)
