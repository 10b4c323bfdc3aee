"""Templates of labelled sets: which ones can be used, and what they make of a text and a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.errors import TextError
from bcecore.evaluation.template import DEFAULT_TEMPLATE, check_template, filled

braceless = st.text().map(lambda text: text.replace("{", "").replace("}", ""))


@pytest.mark.parametrize("template", [DEFAULT_TEMPLATE, "{text}{label}", 'Of {"x": "{text}"} { a b }: {label}.'])
def test_templates_that_can_be_used(template: str) -> None:
    check_template(template)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "{text}, where the text goes, is missing"),
        ("{label}", "{text}, where the text goes, is missing"),
        ("{text}", "{label}, where the label goes, is missing"),
        ("{text} {text} {label}", "is there 2 times"),
        ("{text} {label} {label} {label}", "is there 3 times"),
        ("{label}: {text}", "the label comes before the text"),
        ("{text} {label} {answer}", "{answer}, which stands for nothing"),
        ("{text} {} {label}", "{}, which stands for nothing"),
        ("{ text } {text} {label}", "{ text }, which stands for nothing"),
        ("{text} {label}" + "x" * 2000, "at most 2,000 characters, this one 2,014"),
    ],
)
def test_others_are_told_why(template: str, why: str) -> None:
    with pytest.raises(TextError) as caught:
        check_template(template)
    assert why in str(caught.value) and caught.value.field == "template"


@given(before=braceless, between=braceless, after=braceless, text=st.text(), label=st.text())
def test_what_is_put_in_stays_as_it_is(before: str, between: str, after: str, text: str, label: str) -> None:
    template = before + "{text}" + between + "{label}" + after
    check_template(template)
    assert filled(template, text, label) == before + text + between + label + after


def test_braces_in_a_text_are_text() -> None:
    assert filled("{text} = {label}", "{label} {text}", "{x}") == "{label} {text} = {x}"
