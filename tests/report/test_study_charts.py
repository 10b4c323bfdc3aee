"""The pictures of a study say what the numbers say, and stay readable."""

from __future__ import annotations

from typing import Any

import pytest

from bcecore.evaluation.outcome import Comparison, Curve, Difference, SeedDifference
from bcecore.report.palette import BCE_OFF, BCE_ON
from bcecore.report.render import as_svg
from bcecore.report.study_charts import ALL_SEEDS, curves_alt, curves_chart, difference_alt, difference_chart


def comparison(*values: float, low: float | None = -0.05, high: float | None = 0.02) -> Comparison:
    """A result with these differences at its seeds."""
    return Comparison(
        arm="active",
        reference="off",
        planted=False,
        verdict_values={},
        findings=(),
        clean_documents=40,
        left_out=0,
        identical_weights=False,
        gradient=None,
        difference=Difference(value=-0.01, low=low, high=high, level=0.95),
        seeds=tuple(
            SeedDifference(seed=seed, value=value, low=None, high=None, ce_reference=4.0, ce_arm=4.0 + value)
            for seed, value in enumerate(values, 1)
        ),
    )


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The largest table of a chart."""
    return max(spec["datasets"].values(), key=len)


def test_a_row_for_each_seed_and_one_for_all_over_the_band() -> None:
    spec = difference_chart(comparison(-0.03, 0.01), 0.02)
    drawn = [(row["name"], row["value"], row["low"], row["high"]) for row in rows(spec)]
    assert drawn == [
        ("seed 1", -0.03, -0.03, -0.03),
        ("seed 2", 0.01, 0.01, 0.01),
        (ALL_SEEDS, -0.01, -0.05, 0.02),
    ]
    assert [{"from": -0.02, "to": 0.02}] in list(spec["datasets"].values())
    assert "config" not in spec


def test_no_seed_loses_its_name_and_the_title_fits_a_narrow_screen() -> None:
    eight = difference_chart(comparison(*(0.01 * n for n in range(8))), 0.01)
    svg = as_svg(eight)
    assert all(f">seed {seed}<" in svg for seed in range(1, 9)) and f">{ALL_SEEDS}<" in svg
    title = eight["layer"][-1]["encoding"]["x"]["axis"]["title"]
    assert title == ["CE of “active” less CE of “off”", "nats per token; left of 0, “active” predicts better"]
    assert eight["height"] > difference_chart(comparison(0.01, 0.01), 0.01)["height"]


def test_the_difference_in_words() -> None:
    assert difference_alt(comparison(-0.03, 0.01, -0.01), 0.02) == (
        "The difference at each of 3 seeds and over all of them, with intervals, and the band of ±0.02 within which it "
        "would not matter. At 2 of 3 seeds “active” has the lower loss."
    )


@pytest.mark.parametrize("dark", [False, True])
def test_curves_have_a_band_each_and_the_colours_of_off_and_on(dark: bool) -> None:
    curves = [
        Curve("off", (1, 2), (5.0, 4.0), (0.1, 0.2), 5),
        Curve("active", (1, 2), (5.0, 3.9), (0.1, 0.1), 5),
    ]
    spec = curves_chart(curves)
    expected = [("off", 1, 4.9, 5.1), ("off", 2, 3.8, 4.2), ("active", 1, 4.9, 5.1), ("active", 2, 3.8, 4.0)]
    drawn = [(row["arm"], row["step"], round(row["low"], 9), round(row["high"], 9)) for row in rows(spec)]
    assert drawn == expected
    color = spec["layer"][0]["encoding"]["color"]
    assert color["scale"] == {"domain": ["off", "active"], "range": [BCE_OFF, BCE_ON]}
    assert color["legend"]["orient"] == "bottom"
    # Steps are whole: with two of them there are two labels, not one written three times.
    assert as_svg(spec, dark=dark).count(">1<") == 1
    assert "“off” and “active”" in curves_alt(curves)
