import math

from bcecore.report.summary import At, RunSummary, summarise
from bcecore.store.history import History
from bcecore.store.runs import RunStore
from tests.examples import example_run


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
