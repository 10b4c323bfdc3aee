"""Names, units and directions of logged values, ours and other Trainers'."""

import pytest

from bcecore.report.metrics import least_known, metric, origin_of


@pytest.mark.parametrize(
    ("key", "better"),
    [
        ("ce", "lower"),
        ("eval_loss", "lower"),
        ("eval_g3_loss", "lower"),
        ("eval_perplexity", "lower"),
        ("eval_g0_accuracy", "higher"),
        ("predict_rouge-l", "higher"),
        ("eval_f1", "higher"),
        ("reward", "higher"),
        ("rewards/mixed_correctness_reward_func", "higher"),
        ("eval_samples_per_second", "higher"),
        ("reward_std", None),
        ("learning_rate", None),
        ("grad_norm", None),
        ("bce_weight", None),
        ("eval_runtime", None),
        ("completion_length", None),
        ("损失值", None),
        ("", None),
    ],
)
def test_which_direction_is_better(key: str, better: str | None) -> None:
    assert metric(key).better == better


def test_names_are_words_and_units_are_known() -> None:
    assert (metric("ce").name, metric("ce").unit) == ("CE", "nats per token")
    assert metric("eval_g0_accuracy").name == "g0 accuracy (eval)"
    assert metric("predict_rouge-1").name == "rouge-1 (predict)"
    assert metric("still_masked").name == "still masked"
    assert metric("eval_samples_per_second").unit == "samples/s"
    assert metric("eval_runtime").unit == "s"
    assert metric("bce_dcycle").name == "BCE character"


def test_what_is_better_than_what() -> None:
    assert metric("ce").is_better(1.0, 2.0)
    assert not metric("ce").is_better(2.0, 2.0)
    assert metric("eval_accuracy").is_better(0.9, 0.8)
    assert not metric("learning_rate").is_better(1.0, 2.0)
    assert not metric("ce").is_better(float("nan"), 2.0)


def test_a_log_from_elsewhere_claims_less() -> None:
    loss, check = metric("loss", "other"), metric("eval_loss", "other")
    assert (loss.name, loss.unit, loss.better) == ("loss", "", None)
    assert (check.name, check.unit, check.better) == ("check loss (eval)", "", "lower")
    assert metric("ce", "other").unit == ""
    # With BCE its loss is CE and BCE's term; the text of its checks is no better known.
    assert metric("loss", "bce") == metric("loss")
    assert metric("eval_loss", "bce") == check
    assert metric("learning_rate", "other") == metric("learning_rate")


def test_binary_cross_entropy_is_an_ordinary_key() -> None:
    found = metric("bce_loss", "other")
    assert (found.name, found.group, found.better) == ("bce loss", "other", None)
    assert metric("eval_bce_loss", "other").name == "bce loss (eval)"
    assert metric("bce_loss", "bce").name == "BCE loss"


def test_who_logged_it() -> None:
    assert origin_of(("loss",), ours=True) == "ours"
    assert origin_of(("loss", "bce_weight"), ours=False) == "bce"
    assert origin_of(("loss", "bce_loss"), ours=False) == "other"
    assert least_known(["ours", "other", "bce"]) == "other" and least_known(["bce", "ours"]) == "bce"
    assert least_known([]) == "ours"
