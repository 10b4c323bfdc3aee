"""Names, units and directions of logged values, ours and other Trainers'."""

import pytest

from bcecore.report.metrics import metric


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
