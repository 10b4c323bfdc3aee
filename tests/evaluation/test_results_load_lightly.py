"""What pages read results with costs the dashboard nothing: no torch, and scipy only when an interval is asked for."""

from __future__ import annotations

from tests.test_rooms import loaded_by

RESULTS = [
    f"bcecore.evaluation.{name}"
    for name in ("comparable", "decomposition", "explorer", "labelled", "paired", "report_stats")
] + [f"bcecore.report.{name}" for name in ("evaluation_tables", "evaluation_words", "token_html")]


def test_nothing_heavy_is_loaded() -> None:
    heavy = {"torch", "transformers", "tokenizers", "datasets", "streamlit", "scipy", "sklearn", "pyarrow.parquet"}
    assert loaded_by(RESULTS, heavy) == set()
