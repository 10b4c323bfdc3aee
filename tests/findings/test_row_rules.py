"""The limits of each rule over rows: what is just beyond fires, what is just within does not, and how each ends."""

from __future__ import annotations

import math

import pytest

from bcecore.config import RunConfig
from bcecore.findings.clamp_saturated import clamp_saturated
from bcecore.findings.collapse import collapse
from bcecore.findings.divergence import divergence
from bcecore.findings.exploding_grad import exploding_grad
from bcecore.findings.finding import Finding
from bcecore.findings.loss_spike import loss_spike
from bcecore.findings.lr_zero import lr_zero
from bcecore.findings.no_gradient import no_gradient
from bcecore.findings.overfit import overfit
from bcecore.findings.plateau import plateau
from bcecore.findings.rows import check_keys, number
from bcecore.findings.too_good import too_good
from bcecore.settings import with_values
from tests.findings.logs import noise, series


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def severity(found: list[Finding]) -> str:
    return "".join(finding.severity for finding in found)


def config(**changes: object) -> RunConfig:
    return with_values(RunConfig(), {key.replace("__", "."): value for key, value in changes.items()})


# -- loss-spike


def test_a_spike_takes_two_rows_seven_deviations_up() -> None:
    quiet = [3.0 + jitter for jitter in noise(60, 0.1)]
    assert loss_spike("run", {"ce": series(quiet)}) == []
    assert loss_spike("run", {"ce": series([*quiet, 9.0, *quiet])}) == []  # one odd text
    found = only(loss_spike("run", {"ce": series([*quiet, 9.0, 8.0, *quiet])}))
    assert (found.severity, found.steps, found.numbers["step"], found.numbers["ce"]) == ("W", (61,), 61, 9.0)
    assert not found.numbers["going_on"] and "from about 3.0" in found.sentence and "came back" in found.sentence
    assert loss_spike("run", {"ce": series([*quiet, 3.5, 3.5])}) == []  # five deviations
    assert loss_spike("run", {"ce": series([0.01] * 60 + [0.2, 0.2])}) == []  # no rise to speak of
    assert severity(loss_spike("run", {"ce": series([0.01] * 60 + [0.22, 0.22])})) == "W"


def test_a_spike_that_stays_is_one_and_goes_on() -> None:
    found = only(loss_spike("run", {"ce": series([3.0] * 40 + [9.0] * 100)}))
    assert found.numbers["spikes"] == 1 and found.numbers["going_on"]
    assert "has not come back" in found.sentence


def test_several_spikes_are_counted_and_marked() -> None:
    found = only(loss_spike("run", {"ce": series(([3.0] * 40 + [9.0] * 3) * 3 + [3.0])}))
    assert found.steps == (41, 84, 127) and "3 such jumps in all" in found.sentence


def test_nothing_is_judged_before_there_are_thirty_rows_nor_what_is_no_language_loss() -> None:
    assert loss_spike("run", {"ce": series([3.0] * 29 + [9.0])}) == []
    assert loss_spike("run", {"ce": series([0.0] * 60 + [5.0] * 5 + [-0.001])}) == []


def test_the_fix_of_a_spike() -> None:
    logged = {"ce": series([3.0] * 40 + [9.0] * 3)}
    unclipped = only(loss_spike("run", logged, config(training__max_grad_norm=0.0))).fix
    clipped = only(loss_spike("run", logged, config(training__learning_rate=3e-4))).fix
    assert unclipped is not None and unclipped.changes == {"training.max_grad_norm": 1.0}
    assert clipped is not None and clipped.changes == {"training.learning_rate": 1e-4}
    # The polynomial curve ends at 1e-7: a lower rate is impossible, so that there is no fix.
    lowest = config(training__learning_rate=2e-7, training__lr_scheduler="polynomial")
    assert only(loss_spike("run", logged, lowest)).fix is None


# -- exploding-grad


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5] * 40 + [15.1] * 3, "W"),
        ([1.5] * 40 + [14.9] * 3, ""),
        ([1.5] * 40 + [90.0] * 2 + [1.5], ""),
        ([0.01] * 40 + [0.9] * 5, ""),  # below what clipping would shorten
        ([0.0] * 40 + [1.1] * 3, "W"),
    ],
)
def test_a_gradient_explodes_at_ten_times_its_median_three_rows_long(values: list[float], expected: str) -> None:
    assert severity(exploding_grad("run", {"grad_norm": series(values)})) == expected


# -- divergence


def test_a_loss_that_rises_for_good_and_one_that_comes_back() -> None:
    low, high = [2.0 + jitter for jitter in noise(100, 0.1)], [2.6 + jitter for jitter in noise(60, 0.1, 1)]
    assert divergence("run", {"ce": series(low)}) == []
    assert divergence("run", {"ce": series([*low, *high[:10], *low])}) == []  # one bucket
    found = only(divergence("run", {"ce": series([*low, *high])}, config(training__learning_rate=1e-3)))
    assert (found.severity, found.steps) == ("W", (120,)) and found.numbers["level"] == pytest.approx(2.6, abs=0.1)
    assert found.fix is not None and found.fix.changes == {"training.learning_rate": 1e-4}
    back = only(divergence("run", {"ce": series([*low, *high, *low])}))
    assert back.severity == "N" and back.numbers["came_back"] == 180
    assert divergence("run", {"ce": series([*low, *(value - 0.4 for value in high)])}) == []  # two deviations


def test_a_loss_that_climbs_from_the_start() -> None:
    assert severity(divergence("run", {"ce": series([5.7] * 3 + [30.0 + jitter for jitter in noise(60, 3)])})) == "W"


# -- plateau


def test_a_loss_that_stands_still() -> None:
    flat = [5.0 + jitter for jitter in noise(90, 0.01)]
    found = only(plateau("run", {"ce": series(flat)}, config(training__learning_rate=1e-8)))
    assert found.severity == "W" and found.numbers["never_learnt"] and found.numbers["found"] == 90
    assert found.fix is not None and found.fix.changes == {"training.learning_rate": 1e-3}
    assert plateau("run", {"ce": series(flat[:80])}) == []
    assert (
        plateau("run", {"ce": series([value + jitter for value, jitter in zip(flat, noise(90, 0.5), strict=True)])})
        == []
    )
    falls = [5.0 * step**-0.076 for step in range(1, 600)]
    assert plateau("run", {"ce": series(falls)}) == []


def test_a_plateau_ends_when_the_loss_falls_again() -> None:
    learns = [8.0 - 3.0 * step / 60 for step in range(60)]
    stays = only(plateau("run", {"ce": series([*learns, *[5.0] * 120])}, config()))
    assert stays.severity == "W" and not stays.numbers["never_learnt"] and stays.field == "training.max_steps"
    assert stays.fix is not None and stays.fix.changes == {"training.max_steps": stays.numbers["found"]}
    went_on = only(plateau("run", {"ce": series([*learns, *[5.0] * 120, *[4.8] * 60])}))
    assert went_on.severity == "N" and went_on.fix is None


def test_while_the_rate_warms_up_or_is_low_a_loss_may_stand_still() -> None:
    flat, learns = [5.0] * 150, [8.0 - 3.0 * step / 50 for step in range(50)]
    rises = [step / 150 for step in range(150)]
    assert plateau("run", {"ce": series(flat), "learning_rate": series(rises)}) == []
    falls = [max(0.0, 1 - step / 120) for step in range(200)]
    assert plateau("run", {"ce": series([*learns, *flat]), "learning_rate": series(falls)}) == []
    assert severity(plateau("run", {"ce": series([*learns, *flat]), "learning_rate": series([1.0] * 200)})) == "W"
    # What never learnt anything is no matter of the schedule's end.
    assert severity(plateau("run", {"ce": series([*flat, *flat]), "learning_rate": series(falls + [0.0] * 100)})) == "W"


# -- overfit and too-good


def test_overfit_takes_three_checks_above_the_best_and_five_per_cent() -> None:
    def found(checks: list[float], ce: float = 2.0) -> list[Finding]:
        losses = [4.0] * 20 + [ce] * (10 * len(checks) - 20)
        return overfit("run", {"ce": series(losses), "eval_loss": series(checks, start=10, every=10)}, config())

    finding = only(found([5.0, 4.0, 4.1, 4.2, 4.21]))
    assert (finding.steps, finding.keys) == ((20,), ("eval_loss",)) and finding.fix is None  # BCE's warm-up is longer
    assert found([5.0, 4.0, 4.1, 4.21]) == []
    assert found([5.0, 4.0, 4.1, 4.2, 4.19]) == []
    assert found([5.0, 4.0, 4.3, 4.3, 4.3, 3.9]) == []  # a new best
    assert found([5.0, 4.0, 4.3, 4.3, 4.3], ce=9.0) == []  # it learns nothing at all


def test_overfit_of_one_text_of_several() -> None:
    checks = {
        "eval_a_loss": series([1.0, 0.9, 0.8, 0.7], every=10),
        "eval_b_loss": series([1.0, 2.0, 2.0, 2.0], every=10),
    }
    finding = only(overfit("run", checks))
    assert finding.keys == ("eval_b_loss",) and "of 2 texts" not in finding.sentence
    assert check_keys(["eval_loss", "eval_bce_loss", "eval_a_loss", "eval_a_bce_loss", "loss"]) == [
        "eval_loss", "eval_a_loss",
    ]  # fmt: skip


def test_too_good() -> None:
    def found(checks: list[float], settings: RunConfig | None) -> str:
        return severity(too_good("run", {"eval_loss": series(checks)}, settings))

    assert (found([4.0, 0.0999], config()), found([4.0, 0.1], config()), found([0.05, 0.2], config())) == ("W", "", "")
    assert found([0.058], None) == "N"  # perhaps a classifier
    assert severity(too_good("run", {"eval_loss": series([0.058]), "bce_weight": series([0.1])})) == "W"


# -- BCE


def test_collapse_by_the_distance() -> None:
    def found(values: list[float]) -> str:
        return severity(collapse("run", {"bce_cosine_distance": series([0.001] * 9 + values)}))

    assert found([0.1] * 50 + [0.0099] * 10) == "W"
    assert found([0.1] * 50 + [0.0099] * 9) == ""
    assert found([0.1] * 50 + [0.0101] * 30) == ""
    assert found([0.4] * 50 + [0.011] * 30) == ""  # 3 %, but as far apart as in a healthy run
    assert found([0.1] * 50 + [0.0099] * 30 + [0.021]) == "N"
    assert found([0.009] * 60) == ""  # never apart


def test_collapse_by_the_pull() -> None:
    def found(ratios: list[float]) -> list[Finding]:
        logged = {"bce_grad_ratio": series(ratios, start=50, every=50)}
        return collapse("run", logged, config(bce__base_weight=2.0, bce__target_weight=2.0, bce__max_weight=2.0))

    assert found([0.5, 0.41]) == []
    finding = only(found([0.01, 0.7, 0.41]))
    assert finding.steps == (150,) and finding.fix is not None
    assert finding.fix.changes == {"bce.base_weight": 0.5, "bce.max_weight": 0.5}
    assert found([0.9, 0.39, 0.39]) == []
    assert severity(found([0.9, 0.7, 0.41, 0.3, 0.3])) == "W"  # it still pulls
    assert found([0.9, 0.7, 0.41, 0.1, 0.1]) == []
    assert (
        only(collapse("run", {"bce_grad_ratio": series([0.5, 0.5, 0.5])}, config())).fix
        == only(collapse("run", {"bce_grad_ratio": series([0.5, 0.5, 0.5])}, config(bce__max_weight=0.5))).fix
    )


def test_clamp_saturated() -> None:
    held = config(bce__clamp_min=0.45)
    half = [-0.46, -0.45] * 15
    assert clamp_saturated("run", {"bce_loss": series(half)}, held) == []
    finding = only(clamp_saturated("run", {"bce_loss": series([*half, -0.45])}, held))
    assert (
        finding.field == "bce.clamp_min" and finding.fix is not None and finding.fix.changes == {"bce.clamp_min": None}
    )
    assert clamp_saturated("run", {"bce_loss": series([-0.45] * 19)}, held) == []
    assert severity(clamp_saturated("run", {"bce_loss": series([-0.45] * 20 + [-0.46] * 60)}, held)) == "W"
    assert clamp_saturated("run", {"bce_loss": series([-0.45] * 20 + [-0.46] * 61)}, held) == []
    assert clamp_saturated("run", {"bce_loss": series([-0.45] * 30)}, config()) == []  # no limit, so not held
    assert severity(clamp_saturated("run", {"bce_loss": series([-0.45] * 30)})) == "W"  # nothing else can be constant
    assert clamp_saturated("run", {"bce_loss": series([-0.45 + jitter for jitter in noise(30, 0.01)])}) == []


def test_no_gradient() -> None:
    def found(ratios: list[float], settings: RunConfig | None = None, weight: float = 0.2) -> str:
        logged = {
            "bce_loss": series([-0.46] * 100), "bce_weight": series([weight] * 100),
            "bce_grad_ratio": series(ratios, every=50),
        }  # fmt: skip
        return "".join(str(finding.numbers["reason"]) for finding in no_gradient("run", logged, settings))

    assert found([0.01, 0.1]) == "" and found([0.0, 0.1]) == "" and found([0.0, 0.0]) == "gradient"
    assert found([0.01, 0.1], config(bce__profile="seed")) == "seed profile"
    assert found([0.0, 0.0], weight=0.0) == "weight"
    assert found([0.0, 0.0], config(bce__base_weight=0.0), weight=0.0) == ""  # its boost is still to come
    assert found([0.0, 0.0], config(bce__base_weight=0.0, bce__max_weight=0.0), weight=0.0) == "weight"
    assert found([0.0, 0.0], config(bce__enabled=False)) == ""
    assert no_gradient("run", {"bce_weight": series([0.0] * 100)}) == []  # BCE is off


# -- lr-zero


@pytest.mark.parametrize(
    ("rates", "expected", "steps"),
    [
        ([0.0, 1e-3, 1e-3], "N", (1,)),
        ([1e-3, 1e-3, 0.0], "", ()),  # a schedule may end there
        ([1e-3, 0.0, 0.0], "N", (2,)),  # the last of them may be the end
        ([1e-3, 0.0, 0.0, 0.0], "W", (2,)),
        ([0.0, 0.0, 1e-3], "W", (1,)),
        ([1e-3, 0.0, 1e-3, 0.0, 1e-3], "N", (2, 4)),
        ([0.0, 1e-3, 0.0, 0.0, 1e-3, 0.0, 0.0, 0.0, 1e-3], "W", (3, 6)),
        ([1e-3] * 5, "", ()),
    ],
)
def test_a_rate_of_zero(rates: list[float], expected: str, steps: tuple[int, ...]) -> None:
    found = lr_zero("run", {"learning_rate": series(rates)})
    assert severity(found) == expected and [finding.steps for finding in found] == [steps] * len(expected)


def test_numbers_as_sentences_have_them() -> None:
    assert [number(value) for value in (0.058, 4.268, 31.07, 5490.2, 0.0, math.inf)] == [
        "0.0580", "4.27", "31.1", "5,490", "0", "inf",
    ]  # fmt: skip
