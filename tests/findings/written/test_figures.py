"""Figures in a line, and to what precision they were printed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.findings.written.figures import figures_in


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("400 / 2.00", [400, 2.0]),
        ("-0.4630 and −0.5", [-0.463, -0.5]),
        ("CE 0.0027–0.0098", [0.0027, 0.0098]),
        ("+0.47%", [0.47]),
        ("2,000 steps, 743,552 weights", [2000, 743552]),
        ("4.375e-05 to 3.1E+2", [4.375e-05, 310.0]),
        ("in 2000, 3000 and 4", [2000, 3000, 4]),
        ("wikitext-2 of 2026-11-22, 23:07, version 2.13.0, run a005", []),
        ("length <=64 and > 5 in out/checkpoint-2000/", []),
        ("the 128-token item", [128]),
        ("~106.96s at 18.7x", [106.96]),
        ("", []),
    ],
)
def test_what_is_a_figure(text: str, values: list[float]) -> None:
    assert [figure.value for figure in figures_in(text)] == values


def test_what_stands_around_a_figure_counts() -> None:
    about, percent, time, long = figures_in("around 18.7, 0.4 %, 0.0379 s and 1 m 47 s")
    assert about.about and not percent.about and percent.percent
    assert (time.seconds, long.seconds, long.text) == (0.0379, 107.0, "1 m 47 s")
    pace, epochs = figures_in("18.7 steps/s over 10 epochs")
    assert pace.seconds is None and epochs.seconds is None


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_every_value_fits_what_it_is_printed_as(value: float, decimals: int) -> None:
    (figure,) = figures_in(f"is {value:,.{decimals}f} there")
    assert figure.fits(value)
    assert not figure.fits(value + 1.01 * 10**-decimals) and not figure.fits(value - 1.01 * 10**-decimals)


@given(st.floats(1e-12, 1e12), st.integers(0, 6))
def test_the_same_of_a_figure_with_an_exponent(value: float, decimals: int) -> None:
    (figure,) = figures_in(f"{value:.{decimals}e}")
    assert figure.fits(value)
    assert not figure.fits(value * (1 + 2.2 * 10**-decimals)) and not figure.fits(math.nan)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for figure in figures_in(text):
        assert text[figure.start : figure.start + 1] == figure.text[:1]
