"""too-small and single-run, at their limits."""

from __future__ import annotations

import pytest

from bcecore.findings.sample_size import single_run, too_small


@pytest.mark.parametrize(("documents", "says"), [(2, "exploratory"), (29, "exploratory"), (30, "large differences")])
def test_little_text_is_a_warning(documents: int, says: str) -> None:
    (finding,) = too_small("study", documents)
    assert (finding.id, finding.severity, finding.numbers["documents"]) == ("too-small", "W", documents)
    assert says in finding.sentence and f"only {documents} documents" in finding.sentence


def test_one_document_is_in_the_singular_and_enough_are_silent() -> None:
    assert "There is only 1 document to" in too_small("study", 1)[0].sentence
    assert too_small("study", 99) and too_small("study", 100) == []


def test_few_seeds_are_a_warning() -> None:
    (finding,) = single_run("study", 1)
    assert (finding.id, finding.severity) == ("single-run", "W") and "trained 1 time." in finding.sentence
    assert single_run("study", 4) and single_run("study", 5) == []
