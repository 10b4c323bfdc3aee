import math
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store.record import STATUSES
from bcecore.ui.words import (
    STATUS_WORDS,
    BadgeColor,
    age,
    count,
    duration,
    moment,
    number,
    percent,
    plain,
    roughly,
    scientific,
    size,
)

NOW = datetime(2025, 11, 12, 14, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (47, "47 s"),
        (59.6, "1 m"),
        (107, "1 m 47 s"),
        (3600, "1 h"),
        (7500, "2 h 5 m"),
        (86_400 * 3 + 4 * 3600, "3 d 4 h"),
        (-1, "0.0 s"),
        (math.inf, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.3136, "2.31"),
        (18.7, "18.7"),
        (18.0, "18"),
        (0.2041, "0.204"),
        (0.05827, "0.058"),
        (1312, "1,312"),
        (1312.4, "1,312"),
        (999.7, "1,000"),
        (99.97, "100"),
        (9.996, "10.0"),
        (-0.4630, "-0.463"),
        (5e-5, "5.0e-5"),
        (1_234_567, "1,234,567"),
        (1e9, "1,000,000,000"),
        (1.2e10, "1.2e10"),
        (1e300, "1.0e300"),
        (-1.7e308, "-1.7e308"),
        (1234567890.5, "1.23e9"),
        (0, "0"),
        (math.nan, "not a number"),
        (math.inf, "infinite"),
        (-math.inf, "minus infinite"),
    ],
)
def test_numbers(value: float, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(5e-5, "5.0e-5"), (3.125e-8, "3.12e-8"), (0.001, "1.0e-3"), (0, "0"), (1e6, "1.0e6")]
)
def test_scientific_numbers(value: float, words: str) -> None:
    assert scientific(value) == words


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_has_words(value: float) -> None:
    assert number(value)
    assert scientific(value)
    assert percent(value)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.65, "65 %"), (0.066, "6.6 %"), (0.03, "3 %"), (0.0002, "under 0.1 %"), (0, "0 %"), (1, "100 %")],
)
def test_percentages(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 bytes"), (1, "1 byte"), (53_400_000, "53 MB"), (1_240_000_000, "1.2 GB"), (9_960, "10 kB")]
)
def test_sizes(n: int, words: str) -> None:
    assert size(n) == words


def test_counts() -> None:
    assert (count(1, "step"), count(3600, "step"), count(2, "entry", "entries")) == (
        "1 step",
        "3,600 steps",
        "2 entries",
    )


def test_moments_are_told_in_the_time_of_this_machine() -> None:
    local = NOW.astimezone()
    assert moment(NOW) == f"{local.day} Nov, {local:%H:%M}"


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=5, seconds=50), "5 m ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(days=2, hours=1), "2 d ago"),
    ],
)
def test_ages(ago: timedelta, words: str) -> None:
    assert age(NOW - ago, NOW) == words


def test_after_a_month_an_age_is_a_date() -> None:
    assert age(NOW - timedelta(days=60), NOW).endswith("Sep 2025")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "5 s"),
        (24, "25 s"),
        (57, "55 s"),
        (58, "1 min"),
        (118, "2 min"),
        (3569, "59 min"),
        (3600, "1 h"),
        (47 * 3600, "47 h"),
        (50 * 3600, "2 days"),
    ],
)
def test_guesses_have_one_unit(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


def test_every_status_has_its_icon_sign_word_and_colour() -> None:
    assert set(STATUS_WORDS) == set(STATUSES)
    for words in STATUS_WORDS.values():
        assert words.icon.startswith(":material/")
        assert len(words.sign) == 1
        assert words.word
        assert words.color in get_args(BadgeColor)
    assert len({words.word for words in STATUS_WORDS.values()}) == len(STATUSES)


def test_somebodys_text_is_not_taken_for_markdown() -> None:
    assert plain("*a* :red[b] <i>$x$") == r"\*a\* \:red\[b\] \<i\>\$x\$"
    assert plain("just words, ç and 12") == "just words, ç and 12"
