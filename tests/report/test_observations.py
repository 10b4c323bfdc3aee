from __future__ import annotations

import math
from pathlib import Path

import pytest

from bcecore.config import RunConfig
from bcecore.report.logged import Logged
from bcecore.report.observations import Observation, observations
from bcecore.report.throughput import Throughput
from tests.examples import example_config
from tests.report.logs import course, imported_material, logged

N = 100


def said(
    log: Logged,
    config: RunConfig | None = None,
    pace: Throughput | None = None,
    *,
    over: bool = True,
    part: bool = False,
) -> dict[str, Observation]:
    return {each.key: each for each in observations(log, config, pace or Throughput(N), over=over, part=part)}


def falling(start: float, end: float, n: int = N) -> list[float]:
    return [start + (end - start) * step / (n - 1) for step in range(n)]


def test_the_observations_on_the_reports_log(shared_data: Path) -> None:
    found = {each.key: each for each in imported_material(shared_data / "report" / "trainer_state.json").observations}
    loss = found["loss"]
    assert "The loss fell: the mean of its first 100 values is 11.3476, of its last 100 0.5592." in loss.text
    assert "At step 1 alone it was 10.7678, at step 2,000 (epoch 10.0) 0.4224." in loss.text
    assert "The mean over the run, 2.3136, is higher" in loss.text
    assert loss.figures["mean"] == pytest.approx(2.3135594)
    share = found["share"]
    assert "at step 2,000 it is -0.2037, beside a CE of 0.6261 (25 % of the two together, by size)" in share.text
    assert "At step 1,939 the loss is -0.1832: a CE is never below 0." in share.text
    assert (
        "cooled: the mean of its first 100 values is 72.0, of its last 100 18.3. At step 1 alone it was 85.8"
        in found["grad_norm"].text
    )
    assert "rose from 0.0005 to 0.44 and never fell" in found["bce_weight"].text
    assert "between -0.4655 and -0.4409 in all 2,000 logged values" in found["bce_loss"].text
    assert "seed profile" in found["bce_loss"].text
    assert found["non_finite"].text == "Every logged loss and gradient norm is a finite number."
    assert "throughput" not in found  # one wall clock does not say whether the pace was steady


def test_a_loss_that_rises_or_stays_is_not_said_to_fall() -> None:
    assert said(course(loss=falling(1.0, 3.0)))["loss"].text.startswith("The loss rose: the mean of its first 10")
    assert said(course(loss=[2.0, 2.01] * 50))["loss"].text.startswith("The loss hardly changed")
    assert "mean over the run" not in said(course(loss=falling(1.0, 3.0)))["loss"].text


def test_a_loss_that_only_jumps_is_not_said_to_change() -> None:
    jumps = [(-1) ** step * 1e-4 + 1e-7 * step for step in range(N)]
    assert "hardly changed" in said(course(loss=jumps))["loss"].text


def test_few_values_say_nothing() -> None:
    assert said(course(loss=[3.0, 1.0])).keys() == {"non_finite"}


def test_the_share_of_the_fall_that_is_the_term() -> None:
    weight = falling(0.0, 1.0)
    log = course(ce=[3.0] * N, loss=[3 - 0.5 * w for w in weight], bce_weight=weight, bce_loss=[-0.5] * N)
    share = said(log)["share"]
    assert share.figures["drop_of_term"] == pytest.approx(share.figures["drop"])
    assert "(100 %) is that term growing" in share.text
    assert "never below 0" not in share.text


def test_without_a_term_there_is_no_share() -> None:
    assert "share" not in said(course(loss=falling(3.0, 1.0), bce_weight=[0.0] * N, bce_loss=[-0.4] * N))


def test_a_weight_of_zero_is_ordinary_training() -> None:
    assert "ordinary training" in said(course(loss=falling(3.0, 1.0), bce_weight=[0.0] * N))["bce_weight"].text


def test_a_weight_that_falls_is_noticed() -> None:
    text = said(course(bce_weight=[0.1, 0.2, 0.15, 0.2]))["bce_weight"].text
    assert "fell at step 3" in text


def test_values_outside_of_the_seed_profiles_range() -> None:
    assert "seed profile" not in said(course(bce_loss=[-0.46, -0.30], bce_weight=[0.1, 0.2]))["bce_loss"].text
    inside = course(bce_loss=[-0.46, -0.45], bce_weight=[0.1, 0.2])
    assert "seed profile" in said(inside)["bce_loss"].text
    assert "seed profile" not in said(inside, example_config())["bce_loss"].text  # it is the active one


def test_the_gradient_that_bce_adds() -> None:
    assert "added exactly 0 to the gradient" in said(course(bce_grad_ratio=[0.0, 0.0]))["bce_gradient"].text
    assert "between 2 % and 5 %" in said(course(bce_grad_ratio=[0.02, 0.05]))["bce_gradient"].text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [3.0, 2.0, 1.5],
            "was best at step 3 (1.5000), the last of 3 checks: it was still falling when the run ended.",
        ),
        ([3.0, 1.5, 2.0], "was best at step 2 (1.5000) and has risen since, to 2.0000 1 check later, at step 3."),
        ([3.0, 1.5, 1.501], "was best at step 2 (1.5000) and about level since: 1.5010 at step 3."),
    ],
)
def test_held_out_ce(values: list[float], words: str) -> None:
    log = course(eval_loss=values)
    assert said(log, example_config())["held_out"].text == f"Held-out CE {words}"
    reused = example_config("report-10-epoch-offline")
    assert said(log, reused)["held_out"].text == f"CE on the training lines that were re-used for checking {words}"
    assert said(log)["held_out"].text.startswith("The loss of the check (eval_loss) was best")


def test_a_run_that_goes_on_has_not_ended() -> None:
    text = said(course(eval_loss=[3.0, 2.0]), example_config(), over=False)["held_out"].text
    assert text.endswith("still falling so far.")


def test_the_pace() -> None:
    steady = Throughput(N, slowest=18.0, fastest=19.0)
    assert said(course(loss=[1.0]), pace=steady)["throughput"].text.startswith("The pace was steady: between 18 and 19")
    assert "varied" in said(course(loss=[1.0]), pace=Throughput(N, slowest=9.0, fastest=19.0))["throughput"].text


def test_binary_cross_entropy_is_not_spoken_of_as_bce() -> None:
    assert "bce_loss" not in said(course(loss=[1.0, 0.5], bce_loss=[0.4, 0.2], dice_loss=[0.6, 0.3]))


def test_values_that_are_not_finite_are_counted() -> None:
    log = logged([(1, {"loss": 1.0, "grad_norm": 1.0}), (2, {"loss": math.nan, "grad_norm": math.inf})])
    found = said(log)["non_finite"]
    assert found.text == (
        "Some values are not finite numbers. loss: 1 value, first at step 2; gradient norm: 1 value, first at step 2."
    )
    assert found.figures == {"loss": 1.0, "grad_norm": 1.0}


def test_an_empty_log_has_nothing_to_say() -> None:
    assert said(logged([])) == {}


@pytest.mark.parametrize(("n", "window"), [(20, 3), (N, 10)])
def test_what_is_said_of_the_course_is_that_of_the_means(n: int, window: int) -> None:
    values = falling(60.0, 1.0, n)
    values[0], values[-1] = 2.0, 9.0  # alone, they say the opposite
    found = said(course(loss=values, grad_norm=values))
    means = f": the mean of its first {window} values is "
    assert found["loss"].text.startswith(f"The loss fell{means}")
    assert f" At step 1 alone it was 2.0000, at step {n} 9.0000." in found["loss"].text
    assert found["grad_norm"].text.startswith(f"The gradient norm cooled{means}")
    assert f" At step 1 alone it was 2, at step {n} 9; its highest was" in found["grad_norm"].text


def test_a_gradient_norm_that_only_jumps_neither_cooled_nor_rose() -> None:
    found = said(course(grad_norm=[1.0, 9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 9.0]))
    assert "jumps from step to step more than it changed" in found["grad_norm"].text


def test_a_log_that_stops_before_its_run_does_not_tell_how_that_ended() -> None:
    log = course(loss=falling(3.0, 1.0), eval_loss=falling(3.0, 1.0))
    pace = Throughput(N, slowest=18.0, fastest=19.0)
    found = said(log, pace=pace, part=True)
    assert found["held_out"].text.endswith("still falling at the end of this log.")
    assert "The mean over this log" in found["loss"].text
    assert "in the tenths of this log" in found["throughput"].text
    assert not any("the run" in each.text for each in found.values())


@pytest.mark.filterwarnings("error")
def test_values_near_the_largest_number_are_no_obstacle() -> None:
    huge = [(-1) ** step * 1.7e308 for step in range(N)]
    found = said(course(loss=huge, grad_norm=[1e300] * N, bce_weight=huge, bce_loss=huge, eval_loss=huge))
    assert found["loss"].figures["mean"] == 0
    assert "mean of its first 10 values is 1.0e300" in found["grad_norm"].text
