"""too-good: below 0.1 nats per token, and nowhere else."""

from __future__ import annotations

import math

import pytest

from bcecore.findings.too_good import too_good_measured


def test_the_reports_loss() -> None:
    (found,) = too_good_measured("report", 0.05827, "WikiText-2")
    assert found.severity == "W" and found.numbers["perplexity"] == pytest.approx(1.06, abs=0.001)
    assert "A CE of 0.0583 on WikiText-2 is too good to be true" in found.sentence


@pytest.mark.parametrize("ce", [0.1, 1.9, math.nan, math.inf])
def test_silence(ce: float) -> None:
    assert too_good_measured("run", ce, "the held-out lines") == []
