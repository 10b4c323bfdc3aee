from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.report.gathering import material_of
from bcecore.report.writing import report_of, write_report
from bcecore.store.history import History
from bcecore.store.imports import find_logs, import_run
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run


def history_of(store: RunStore, run_id: str) -> History:
    history = History(store.directory(run_id))
    history.refresh()
    return history


def test_a_run_of_ours(store: RunStore, tmp_path: Path) -> None:
    run_id = example_run(store, config=example_config(), steps=300, checkpoints=(100, 300))
    material = material_of(store, store.record(run_id), history_of(store, run_id), [250, 7, 250])
    assert material.checkpoints == (100, 300)
    assert material.extra_steps == (7, 250)
    assert [file.name for file in material.files] == [
        "config.json",
        "run.json",
        "metrics.jsonl",
        "train.log",
        "data/",
        "checkpoints/",
    ]
    markdown, html = write_report(report_of(material), tmp_path)
    assert markdown.read_text(encoding="utf-8").startswith("# an example\n")
    page = html.read_text(encoding="utf-8")
    assert page.count('<svg role="img"') >= 6
    assert "moving average" in page
    assert 'aria-label="Loss and cross-entropy by step"' in page
    assert not [name for name in ("http://", "https://") if name in page.replace("http://www.w3.org/", "")]


def test_an_imported_run(store: RunStore, shared_data: Path) -> None:
    run_id = import_run(
        store,
        find_logs([shared_data / "report" / "trainer_state.json"]),
        name="theirs",
        facts={"wall_clock": 106.96},
        again=False,
    )
    material = material_of(store, store.record(run_id), history_of(store, run_id))
    assert material.config is None
    assert material.files[-1].name.endswith("trainer_state.json")
    report = report_of(material)
    assert "2.3136" in report.markdown and "18.7 steps/s" in report.markdown
    assert "2.3136" in report.html


def test_a_run_whose_settings_are_damaged_has_no_report(store: RunStore) -> None:
    run_id = example_run(store)
    (store.directory(run_id) / "config.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        material_of(store, store.record(run_id), history_of(store, run_id))
