"""twins-identical: what it says; where it fires in a study is in `tests/evaluation/study/test_verdicts.py`."""

from __future__ import annotations

from bcecore.findings.twins_identical import twins_identical


def test_equal_weights_and_the_reason() -> None:
    (found,) = twins_identical("study", "seed", 5, weights=True, losses=True, gradient=0.0)
    assert (found.id, found.severity) == ("twins-identical", "N")
    assert found.sentence == (
        "At 5 seeds, the twins of the arm “seed” end with the same weights, in every bit. BCE added nothing to the "
        "gradient, so it could not change the model."
    )
    assert "BCE added" not in twins_identical("s", "a", 1, weights=True, losses=True, gradient=0.3)[0].sentence


def test_equal_losses_alone() -> None:
    (found,) = twins_identical("study", "seed", 1, weights=False, losses=True)
    assert "At 1 seed, " in found.sentence and "every document the same loss" in found.sentence


def test_silence() -> None:
    assert twins_identical("study", "seed", 5, weights=False, losses=False, gradient=0.0) == []
