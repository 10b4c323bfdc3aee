"""The schedules: DESIGN's check values, the report's log, Hugging Face's own schedulers and Trainer, and properties."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bcecore import schedule
from bcecore.schedule import LEARNING_RATE_SCHEDULES, bce_weight, learning_rate, steps_per_epoch, total_steps

REPORT_LR = {"peak": 5e-5, "warmup_steps": 400, "total_steps": 2000, "schedule": "linear"}
REPORT_BCE = {"base": 0.2, "target": 0.2, "maximum": 0.5, "warmup_steps": 400, "boost_span": 2000}

weights = st.floats(0, 10, allow_subnormal=False)
steps = st.integers(0, 3000)
schedules = st.builds(
    dict, base=weights, target=weights, maximum=weights, warmup_steps=steps, boost_span=st.integers(1, 3000)
)


# Check values


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (1, 0.0),
        (400, 4.9875e-05),
        (401, 5e-05),
        (1000, 3.128125e-05),
        (1500, 1.565625e-05),
        (2000, 3.125e-08),
        (2001, 0.0),
        (2500, 0.0),
    ],
)
def test_learning_rate_has_designs_values(t: int, expected: float) -> None:
    assert learning_rate(t, **REPORT_LR) == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    ("t", "expected"),
    [(1, 0.0005), (400, 0.2), (401, 0.20015), (1000, 0.29), (1500, 0.365), (2000, 0.44), (2400, 0.5), (9999, 0.5)],
)
def test_bce_weight_has_designs_values(t: int, expected: float) -> None:
    assert bce_weight(t, **REPORT_BCE) == pytest.approx(expected, rel=1e-14, abs=0)


def test_the_reports_off_was_not_off_and_ours_is() -> None:
    with_base_0 = REPORT_BCE | {"base": 0.0}
    assert bce_weight(400, **with_base_0) == 0.0
    assert bce_weight(2000, **with_base_0) == pytest.approx(0.4, rel=1e-14)
    assert [bce_weight(t, **REPORT_BCE, enabled=False) for t in range(1, 2501)] == [0.0] * 2500


@pytest.fixture(scope="module")
def report_log(shared_data: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((shared_data / "report/trainer_state.json").read_text())["log_history"]
    return records


def test_learning_rate_equals_the_reports_log_in_every_bit(report_log: list[dict[str, Any]]) -> None:
    logged = {record["step"]: record["learning_rate"] for record in report_log if "learning_rate" in record}
    assert logged == {t: learning_rate(t, **REPORT_LR) for t in range(1, 2001)}


def test_bce_weight_equals_the_reports_log_in_every_bit(report_log: list[dict[str, Any]]) -> None:
    # The report's script logged from inside the forward pass: what is stamped s belongs to step s + 1.
    logged = {record["step"] + 1: record["bce_eff_w"] for record in report_log if "bce_eff_w" in record}
    assert logged == {t: bce_weight(t, **REPORT_BCE) for t in range(1, 2001)}


# Against Hugging Face


@pytest.mark.parametrize("name", LEARNING_RATE_SCHEDULES)
def test_learning_rate_equals_hugging_faces_at_every_step(name: schedule.LearningRateSchedule) -> None:
    import torch
    import transformers

    for peak, warmup, total in [
        (5e-5, 400, 2000),
        (1e-3, 30, 312),
        (3e-4, 0, 100),
        (0.1, 1, 7),
        (2e-5, 6, 7),
        (7e-6, 0, 1),
        (1e-4, 33, 1001),
    ]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
        real = transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
        # Five steps beyond the end, too: the Trainer asks once more after its last one.
        for t in range(1, total + 6):
            expected = real.get_last_lr()[0]
            ours = learning_rate(t, peak=peak, warmup_steps=warmup, total_steps=total, schedule=name)
            assert ours == expected, (name, peak, warmup, total, t)
            optimizer.step()
            real.step()


class _Lines:
    """A data set of so many examples."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        return {"x": torch.ones(1)}


def _trainer(
    directory: Path, examples: int, batch: int, accumulation: int, epochs: float, max_steps: int | None
) -> Any:
    import torch
    import transformers

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": (self.weight * x).mean()}

    arguments = transformers.TrainingArguments(
        output_dir=str(directory),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        max_steps=-1 if max_steps is None else max_steps,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    return transformers.Trainer(Model(), arguments, train_dataset=_Lines(examples))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("examples", "batch", "accumulation", "epochs", "max_steps"),
    [
        (200, 1, 1, 10.0, None),
        (413, 8, 1, 6.0, None),
        (10, 3, 2, 1.0, None),
        (10, 3, 2, 2.5, None),
        (7, 4, 4, 3.0, None),
        (1, 16, 4, 1.0, None),
        (9, 2, 3, 0.3, None),
        (10, 3, 2, 1.0, 11),
        (10, 3, 2, 5.0, 3),
    ],
)
def test_steps_are_counted_as_the_trainer_counts(
    tmp_path: Path, examples: int, batch: int, accumulation: int, epochs: float, max_steps: int | None
) -> None:
    ours = total_steps(examples, batch_size=batch, accumulation=accumulation, epochs=epochs, max_steps=max_steps)
    per_epoch = steps_per_epoch(examples, batch_size=batch, accumulation=accumulation)

    trainer = _trainer(tmp_path, examples, batch, accumulation, epochs, max_steps)
    counted = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    assert (per_epoch, ours) == (counted[1], counted[-1])
    if ours <= 20:
        trainer.train()
        assert trainer.state.global_step == ours


# Properties


@given(schedules, st.integers(1, 8000))
def test_bce_weight_stays_between_0_and_its_ends(settings: dict[str, Any], t: int) -> None:
    cap = min(settings["base"], settings["target"])
    highest = max(cap, settings["maximum"])
    assert 0.0 <= bce_weight(t, **settings) <= highest * (1 + 1e-15)


@given(schedules, st.integers(1, 6000))
def test_bce_weight_rises_to_its_cap_and_then_goes_straight_to_the_maximum(settings: dict[str, Any], t: int) -> None:
    cap, maximum = min(settings["base"], settings["target"]), settings["maximum"]
    now, then = bce_weight(t, **settings), bce_weight(t + 1, **settings)
    if t < settings["warmup_steps"] or maximum == 0 or maximum >= cap:
        assert then >= now - 1e-15
    else:
        assert then <= now + 1e-15 or t == settings["warmup_steps"]


@given(schedules)
def test_bce_weight_is_continuous_at_its_boundaries(settings: dict[str, Any]) -> None:
    cap, maximum = min(settings["base"], settings["target"]), settings["maximum"]
    warmup, span = settings["warmup_steps"], settings["boost_span"]
    if warmup:
        assert bce_weight(warmup, **settings) == cap
    first = bce_weight(warmup + 1, **settings)
    last, after = bce_weight(warmup + span, **settings), bce_weight(warmup + span + 1, **settings)
    if maximum == 0:
        assert first == last == after == cap
    else:
        assert first == pytest.approx(cap + (maximum - cap) / span, rel=1e-12, abs=1e-300)
        assert last == after == pytest.approx(maximum, rel=1e-12, abs=1e-15)


@given(schedules, st.integers(1, 6000))
def test_off_is_0_at_every_step(settings: dict[str, Any], t: int) -> None:
    assert bce_weight(t, **settings, enabled=False) == 0.0


def test_without_warm_up_and_boost_the_weight_is_its_cap_from_the_first_step() -> None:
    plain = {"base": 0.3, "target": 0.2, "maximum": 0.0, "warmup_steps": 0, "boost_span": 1}
    assert [bce_weight(t, **plain) for t in (1, 2, 1000)] == [0.2, 0.2, 0.2]
    # With a boost, the first step is already one step into it.
    assert bce_weight(1, **plain | {"maximum": 0.5, "boost_span": 3}) == pytest.approx(0.3)
    assert bce_weight(1, **plain | {"maximum": 0.5}) == 0.5


@pytest.mark.parametrize("name", LEARNING_RATE_SCHEDULES)
@given(peak=st.floats(1e-6, 1), warmup=st.integers(0, 500), rest=st.integers(1, 2000), place=st.floats(0, 1))
@example(peak=5e-5, warmup=400, rest=1600, place=0.2)
def test_learning_rate_rises_to_its_peak_and_never_above(
    name: schedule.LearningRateSchedule, peak: float, warmup: int, rest: int, place: float
) -> None:
    def rate(step: int) -> float:
        return learning_rate(step, peak=peak, warmup_steps=warmup, total_steps=warmup + rest, schedule=name)

    # Up to the last step: behind it, Hugging Face's cosine rises again.
    t = 1 + round(place * (warmup + rest - 1))
    assert 0.0 <= rate(t) <= peak * (1 + 1e-12)
    if name == "constant":
        assert rate(t) == peak
        return
    assert rate(warmup + 1) == pytest.approx(peak, rel=1e-12)
    if warmup:
        assert rate(1) == 0.0
    if t <= warmup:
        assert rate(t) < rate(t + 1) * (1 + 1e-12)
    else:
        assert rate(t + 1) <= rate(t) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("name", "end"),
    [("linear", 0.0), ("cosine", 0.0), ("cosine_with_restarts", 0.0), ("polynomial", 1e-7), ("constant", 1e-3)],
)
def test_learning_rate_after_the_last_step(name: schedule.LearningRateSchedule, end: float) -> None:
    after = learning_rate(101, peak=1e-3, warmup_steps=10, total_steps=100, schedule=name)
    assert after == pytest.approx(end, rel=1e-9, abs=1e-18)


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 16), st.floats(0.01, 20), st.integers(1, 10_000))
def test_steps_cover_every_example(examples: int, batch: int, accumulation: int, epochs: float, limit: int) -> None:
    per_epoch = steps_per_epoch(examples, batch_size=batch, accumulation=accumulation)
    assert (per_epoch - 1) * batch * accumulation < examples <= per_epoch * batch * accumulation
    counted = total_steps(examples, batch_size=batch, accumulation=accumulation, epochs=epochs, max_steps=None)
    assert counted == math.ceil(epochs * per_epoch) >= 1
    stopped = total_steps(examples, batch_size=batch, accumulation=accumulation, epochs=epochs, max_steps=limit)
    assert stopped == limit


@given(st.integers(1, 2000), st.integers(1, 2500))
def test_what_is_done_now_and_then_is_done_at_the_end_too(steps: int, every: int) -> None:
    assert schedule.times(steps, every) == sum(t % every == 0 or t == steps for t in range(1, steps + 1))


# What is refused


@pytest.mark.parametrize("t", [0, -1])
def test_there_is_no_step_before_the_first(t: int) -> None:
    with pytest.raises(ValueError, match=f"counted from 1, got {t}"):
        bce_weight(t, **REPORT_BCE)
    with pytest.raises(ValueError, match=f"counted from 1, got {t}"):
        learning_rate(t, **REPORT_LR)


def test_a_span_below_1_and_a_peak_below_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        bce_weight(1, **REPORT_BCE | {"boost_span": 0})
    with pytest.raises(ValueError, match="must be larger, got 1e-07"):
        learning_rate(50, peak=1e-7, warmup_steps=0, total_steps=100, schedule="polynomial")


def test_every_schedule_is_listed_once() -> None:
    assert get_args(schedule.LearningRateSchedule) == LEARNING_RATE_SCHEDULES
    assert len(LEARNING_RATE_SCHEDULES) == 7
