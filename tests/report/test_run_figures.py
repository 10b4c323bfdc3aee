import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.report.chart_lines import Axis
from bcecore.report.charts import Figure, Mark, View, draw
from bcecore.report.palette import BCE_OFF, BCE_ON
from bcecore.report.run_figures import RunLines, extent_of, overlay_figures, run_figures
from bcecore.store.columns import Columns, block_of
from bcecore.store.history import History
from bcecore.store.runs import RunStore
from bcecore.store.trainer_log import merged, read_trainer_log
from tests.examples import example_config, example_run, training_lines

OURS = ["loss", "gap", "grad-norm", "learning-rate", "bce-weight", "bce-loss", "bce-components"]


def logged(*lines: dict[str, Any]) -> Columns:
    columns = Columns()
    columns.add(block_of([(line["step"], {k: v for k, v in line.items() if k != "step"}) for line in lines]))
    return columns


def ours(config: RunConfig, steps: int = 120) -> Columns:
    return logged(*training_lines(config, range(1, steps + 1), 300))


def imported(path: Path) -> Columns:
    columns = Columns()
    columns.add(merged([read_trainer_log(path)]))
    return columns


def charted(figures: list[Figure]) -> set[tuple[int, float]]:
    """What is drawn anywhere: how many points, and their sum."""
    return {(len(t.series), float(np.nansum(t.series.values))) for figure in figures for t in figure.traces}


def test_a_run_of_ours_has_its_charts_before_it_logs() -> None:
    config = example_config()
    before, after = run_figures(Columns(), config), run_figures(ours(config), config)
    assert [figure.key for figure in before] == OURS
    assert [figure.key for figure in after if not figure.more] == [*OURS, "bce-gradient"]
    assert [figure.title for figure in before] == [figure.title for figure in after[:7]]


def test_without_bce_there_are_no_charts_of_it() -> None:
    config = example_config(bce__enabled=False)
    figures = [figure for figure in run_figures(ours(config), config) if not figure.more]
    assert [figure.key for figure in figures] == ["loss", "grad-norm", "learning-rate"]
    assert [trace.name for trace in figures[0].traces] == ["CE", "held-out CE"]
    assert figures[0].traces[0].color == BCE_OFF


def test_a_run_with_bce_has_its_colour_and_its_lines() -> None:
    config = example_config()
    loss, gap = run_figures(ours(config), config)[:2]
    assert [(trace.name, trace.dots) for trace in loss.traces] == [
        ("loss with BCE", False),
        ("CE", False),
        ("held-out CE", True),
    ]
    assert loss.traces[1].color == BCE_ON
    assert gap.gap == ("objective", "CE")
    rows = draw(gap, View()).spec["datasets"]["gap"]
    assert (rows["high"] > rows["low"]).all()


def test_a_run_that_is_not_checked_has_no_line_for_it() -> None:
    config = example_config(data__validation="none")
    assert [trace.name for trace in run_figures(ours(config), config)[0].traces] == ["loss with BCE", "CE"]


def test_spread_is_charted_where_it_is_logged() -> None:
    lines = [
        line | {"bce_spread": 0.4, "bce_cosine_distance": 0.1}
        for line in training_lines(example_config(), range(1, 9), 9)
    ]
    figures = {figure.key: figure for figure in run_figures(logged(*lines), example_config())}
    assert [trace.name for trace in figures["bce-spread"].traces] == ["spread", "mean cosine distance"]


def test_no_two_lines_of_a_chart_look_the_same() -> None:
    config = example_config()
    for figure in run_figures(ours(config), config):
        looks = [(trace.color, trace.dash) for trace in figure.traces]
        assert len(set(looks)) == len(looks) == len({trace.name for trace in figure.traces})


def test_every_chart_has_a_key_of_its_own_and_says_what_it_is() -> None:
    config = example_config()
    figures = run_figures(ours(config), config)
    assert len({figure.key for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.title and figure.unit and figure.alt and figure.about
        assert set(figure.key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


LOGS = ["report/trainer_state.json"] + [
    f"trainer_states/{name}.json"
    for name in ("cpt-generation", "multi-eval-groups", "rl-two-cadences", "t5-summarization")
]


@pytest.mark.parametrize("name", LOGS)
def test_every_logged_key_is_charted(name: str, shared_data: Path) -> None:
    history = imported(shared_data / name)
    figures = run_figures(history)
    drawn = charted(figures)
    for key in history.keys:
        series = history.series(key)
        assert (len(series), float(np.nansum(series.values))) in drawn, key
    assert len({figure.key for figure in figures}) == len(figures)
    for figure in figures:
        assert draw(figure, View()).total > 0


def test_every_key_of_our_own_runs_is_charted() -> None:
    history = ours(example_config())
    drawn = charted(run_figures(history, example_config()))
    for key in history.keys:
        values = history.series(key).values - (1_700_000_001.0 if key == "time" else 0)
        assert (len(values), float(np.nansum(values))) in drawn, key


def test_the_reports_log_has_the_charts_of_bce(shared_data: Path) -> None:
    figures = {figure.key: figure for figure in run_figures(imported(shared_data / LOGS[0]))}
    assert {"loss", "gap", "bce-weight", "bce-loss"} <= set(figures)
    objective, ce = figures["gap"].traces
    assert ce.name == "CE (worked out: the loss less BCE's term)"
    weight, value = figures["bce-weight"].traces[0].series, figures["bce-loss"].traces[0].series
    assert ce.series.values == pytest.approx(objective.series.values - weight.values * value.values)


def test_the_same_metric_of_several_texts_is_one_chart(shared_data: Path) -> None:
    figures = {
        figure.key: figure for figure in run_figures(imported(shared_data / "trainer_states/multi-eval-groups.json"))
    }
    assert [trace.name for trace in figures["log-accuracy"].traces] == [f"g{n} accuracy (eval)" for n in range(6)]
    assert [trace.name for trace in figures["loss"].traces] == ["loss", *(f"g{n} loss (eval)" for n in range(6))]
    assert [figure.key for figure in figures.values() if not figure.more] == [
        "loss",
        "grad-norm",
        "learning-rate",
        "log-accuracy",
    ]


def test_what_belongs_together_is_in_one_chart_and_what_never_changes_comes_last(shared_data: Path) -> None:
    figures = run_figures(imported(shared_data / "trainer_states/rl-two-cadences.json"))
    by_key = {figure.key: [trace.name for trace in figure.traces] for figure in figures}
    assert by_key["log-num-steps"] == ["num steps max", "num steps mean", "num steps min", "num steps std"]
    assert by_key["log-rewards"] == [
        "rewards/mixed correctness mult reward func",
        "rewards/mixed correctness reward func",
    ]
    shown = [figure.key for figure in figures if not figure.more]
    assert shown[-1] == "log-non-zero-unmask-prob"


def test_many_texts_are_spread_over_several_charts() -> None:
    line = {f"eval_t{n}_accuracy": n / 40 for n in range(30)}
    figures = [f for f in run_figures(logged({"step": 1, **line}, {"step": 2, **line})) if "accuracy" in f.key]
    assert [len(figure.traces) for figure in figures] == [12, 12, 6]
    assert len({figure.title for figure in figures}) == 3


def test_all_charts_of_a_run_reach_equally_far() -> None:
    config = example_config()
    history = ours(config)
    extent = extent_of(history)
    assert extent is not None
    assert extent.step == (1, 120) and extent.epoch == (0.02, 2.4) and extent.time == (0, 119_000)
    figures = run_figures(history, config, [Mark(50, "checkpoint", "Checkpoint")])
    assert all(figure.extent == extent and len(figure.marks) == 1 for figure in figures)
    for figure in figures:
        frame = draw(figure, View(x="time")).spec["datasets"]["frame"].iloc[0]
        assert (frame["x0"], round(frame["x1"])) == (0, 120_190)


@pytest.mark.parametrize("x", ["step", "epoch", "time"])
@pytest.mark.parametrize("log_x", [False, True])
def test_all_charts_show_the_same_stretch(x: Axis, log_x: bool) -> None:
    one, other = ours(example_config(), 50), ours(example_config(), 80)
    of_runs = overlay_figures([RunLines("a", "#111111", one), RunLines("b", "#222222", other)], ["ce", "eval_loss"])
    for figures in (run_figures(other, example_config()), of_runs):
        frames = [draw(figure, View(x=x, log_x=log_x)).spec["datasets"]["frame"] for figure in figures]
        assert len({(frame["x0"][0], frame["x1"][0]) for frame in frames}) == 1


def test_names_keep_their_capitals_in_what_screen_readers_say() -> None:
    told = {figure.key: figure.alt for figure in run_figures(ours(example_config(), 5), example_config())}
    assert told["bce-weight"] == "BCE weight by step"
    assert told["grad-norm"] == "Gradient norm by step"


def test_several_runs_in_one_chart() -> None:
    one, other = ours(example_config(), 50), ours(example_config(), 80)
    runs = [RunLines("first", "#111111", one), RunLines("first", "#111111", other), RunLines("third", "#222222", other)]
    ce, held_out = overlay_figures(runs, ["ce", "eval_loss", "nobody_has_it"])
    assert [(trace.name, trace.color, len(trace.series)) for trace in ce.traces] == [
        ("first", "#111111", 50),
        ("first (2)", "#111111", 80),
        ("third", "#222222", 80),
    ]
    assert ce.traces[0].dash != ce.traces[1].dash
    assert ce.extent is not None and ce.extent.step == (1, 80)
    assert all(trace.dots for trace in held_out.traces)


def test_a_run_that_logged_nothing_but_nan_can_be_drawn() -> None:
    history = logged({"step": 1, "loss": math.nan, "grad_norm": math.inf})
    for figure in run_figures(history):
        draw(figure, View(smoothing=0.9, clip=True, log_y=True))


def test_nothing_logged_elsewhere_is_no_chart() -> None:
    assert run_figures(Columns()) == []
    assert overlay_figures([RunLines("a", "#1", Columns())], ["ce"]) == []


def test_binary_cross_entropy_is_charted_as_an_ordinary_value() -> None:
    log = logged(*({"step": n, "loss": 2.0 / n, "bce_loss": 1.0 / n, "dice_loss": 1.0 / n} for n in (1, 2, 3)))
    figures = {figure.key: figure for figure in run_figures(log)}
    assert "bce-loss" not in figures and figures["log-bce-loss"].title == "Bce loss"


def test_a_check_of_a_log_from_elsewhere_is_not_called_held_out() -> None:
    log = logged({"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "eval_loss": 1.5})
    assert [trace.name for trace in run_figures(log)[0].traces] == ["loss", "check loss (eval)"]
    (figure,) = overlay_figures([RunLines("a", "#111111", log, "other"), RunLines("b", "#222222", log)], ["eval_loss"])
    assert (figure.title, figure.unit) == ("Check loss (eval)", "value")


def test_a_finding_is_marked_on_the_charts_of_its_keys_only(store: RunStore) -> None:
    run_id = example_run(store)
    history = History(store.directory(run_id))
    history.refresh()

    def found(rule: str, *keys: str) -> Finding:
        return Finding(
            id=rule, severity="W", subject=run_id, numbers={}, sentence="", what_to_do="", steps=(30, 40), keys=keys
        )

    def marked(finding: Finding) -> dict[str, list[int]]:
        figures = run_figures(history, store.config(run_id), [], [finding])
        return {figure.key: [mark.step for mark in figure.marks] for figure in figures if figure.marks}

    assert marked(found("exploding-grad", "grad_norm")) == {"grad-norm": [30, 40]}
    assert marked(found("loss-spike", "loss")) == {"loss": [30, 40], "gap": [30, 40]}
    assert marked(found("divergence", "eval_loss")) == {"loss": [30, 40]}
    assert len(marked(found("non-finite"))) == len(run_figures(history, store.config(run_id)))
    # Without BCE the loss is CE, and drawn as that.
    off = example_run(store, config=example_config(bce__enabled=False))
    history = History(store.directory(off))
    history.refresh()
    figures = run_figures(history, store.config(off), [], [found("loss-spike", "loss")])
    assert [figure.key for figure in figures if figure.marks] == ["loss"]
    assert {mark.name for figure in figures for mark in figure.marks} == {"Loss spike"}
