import math

from bcecore.report.run_table import run_table
from bcecore.report.summary import At, RunSummary, summarise
from bcecore.store.history import History
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run


def summary_of(store: RunStore, run_id: str) -> RunSummary:
    history = History(store.directory(run_id))
    history.refresh()
    return summarise(history.series)


def test_a_run_in_a_few_values(store: RunStore) -> None:
    summary = summary_of(store, example_run(store, "running", steps=120))
    assert summary.points == 120
    assert summary.ce is not None and summary.ce.step == 120
    assert summary.loss is not None and summary.loss.value < summary.ce.value
    assert summary.held_out is not None and summary.held_out.step == 100
    assert summary.best_held_out == summary.held_out
    assert summary.gradient_ratio == At(0.05, 100)
    assert summary.trend[0] > summary.trend[-1]
    assert len(summary.trend) <= 60


def test_before_the_first_step(store: RunStore) -> None:
    assert summary_of(store, example_run(store, "starting")) == RunSummary()


def test_the_best_check_is_the_lowest_finite_one(store: RunStore) -> None:
    last = {"step": 150, "eval_loss": math.nan}
    summary = summary_of(store, example_run(store, "failed", steps=120, last_line=last))
    assert summary.held_out is not None and math.isnan(summary.held_out.value)
    assert summary.best_held_out is not None and summary.best_held_out.step == 100


def test_the_table_has_a_row_for_every_run_and_no_invented_values(store: RunStore) -> None:
    done = example_run(store, "finished", name="done", steps=300, config=example_config(bce__enabled=False))
    waiting = example_run(store, "queued", name="waiting")
    records = [store.record(run_id) for run_id in (waiting, done)]
    summaries = {run_id: summary_of(store, run_id) for run_id in (waiting, done)}
    table = run_table(
        records, summaries, {done: store.config(done)}, {"queued": "○ Waiting", "finished": "✓ Finished"}, now()
    )
    assert table["name"].tolist() == ["waiting", "done"]
    assert table["status"].tolist() == ["○ Waiting", "✓ Finished"]
    assert table["progress"].tolist() == [0.0, 1.0]
    assert table["bce"].tolist() == ["unknown", "off"]
    assert table["ce"].isna().tolist() == [True, False]
    assert table.index.tolist() == [1, 2]
    assert table["trend"].iloc[0] == []
    assert table["age"].tolist() == ["just now", "just now"]
