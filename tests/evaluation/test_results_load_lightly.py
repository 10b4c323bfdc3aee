"""What pages read results with costs the dashboard nothing: no torch, and scipy only when an interval is asked for."""

from __future__ import annotations

from tests.test_rooms import loaded_by

RESULTS = [
    f"bcecore.evaluation.{name}"
    for name in ("comparable", "decomposition", "explorer", "labelled", "outcome", "paired", "report_stats", "verdict")
] + [
    f"bcecore.report.{name}"
    for name in ("evaluation_tables", "evaluation_words", "study_report", "study_words", "token_html")
]
STUDIES = [
    f"bcecore.evaluation.study.{name}"
    for name in ("controlling", "creating", "differences", "foretelling", "material", "progress", "verdicts")
]


def test_nothing_heavy_is_loaded() -> None:
    heavy = {"torch", "transformers", "tokenizers", "datasets", "streamlit", "scipy", "sklearn", "pyarrow.parquet"}
    assert loaded_by(RESULTS, heavy) == set()


def test_a_page_about_studies_loads_no_statistics_before_it_needs_them() -> None:
    heavy = {"torch", "transformers", "datasets", "streamlit", "scipy", "sklearn", "statsmodels", "datasketch"}
    assert loaded_by(STUDIES, heavy) == set()
