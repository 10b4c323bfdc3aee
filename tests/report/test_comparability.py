from __future__ import annotations

import pytest

from bcecore.config import RunConfig
from bcecore.report import comparability
from bcecore.report.comparability import Obstacle, Side, obstacle, side_names, warnings
from bcecore.settings import with_values
from bcecore.store.record import RunRecord, now
from tests.report.sides import TEXTS, side

CONFIG = RunConfig()
VALUES = {key: {1: 1.0} for key in ("ce", "loss", "eval_loss", "eval_accuracy", "tokens_per_second", "grad_norm")}
LEAKS, TIGHT = ({"leak_probe": {"leaks": leaks, "largest_change": 0.0}} for leaks in (True, False))


def run(name: str, **given: object) -> Side:
    return side(name, VALUES, **({"config": CONFIG} | given))  # type: ignore[arg-type]


def reasons(a: Side, b: Side) -> dict[str, Obstacle]:
    return {key: reason for key in VALUES if (reason := obstacle(key, a, b)) is not None}


def test_runs_on_the_same_texts_can_be_compared() -> None:
    faster = with_values(CONFIG, {"training.learning_rate": 1e-3, "training.seed": 7})
    assert reasons(run("a"), run("b", config=faster)) == {}


def test_another_checking_text() -> None:
    found = reasons(run("a"), run("b", texts=TEXTS | {"validation": "v2"}))
    assert found == dict.fromkeys(("eval_loss", "eval_accuracy"), comparability.CHECKING_TEXT)


def test_another_training_text() -> None:
    hub = with_values(CONFIG, {"model.source": "prajjwal1/bert-tiny"})
    found = reasons(run("a", config=hub), run("b", config=hub, texts=TEXTS | {"train": "t2"}))
    assert found == dict.fromkeys(("ce", "loss"), comparability.TRAINING_TEXT)


def test_a_vocabulary_learnt_from_another_text_makes_other_tokens() -> None:
    found = reasons(run("a"), run("b", texts=TEXTS | {"train": "t2"}))
    assert found["eval_loss"] == comparability.TOKENS and "eval_accuracy" not in found


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"model.vocab_size": 300}, True),
        ({"model.tokenizer": "gpt2"}, True),
        ({"model.source": "gpt2"}, True),
        ({"model.hidden_size": 64}, False),
    ],
)
def test_other_tokens(changes: dict[str, object], differs: bool) -> None:
    found = reasons(run("a"), run("b", config=with_values(CONFIG, changes)))
    assert found == (dict.fromkeys(("ce", "loss", "eval_loss"), comparability.TOKENS) if differs else {})


def test_one_model_that_sees_the_future() -> None:
    found = reasons(run("a", facts=LEAKS), run("b", facts=TIGHT))
    assert found == dict.fromkeys(("ce", "loss", "eval_loss"), comparability.FUTURE)
    assert reasons(run("a", facts=LEAKS), run("b", facts=LEAKS)) == {}


def test_texts_cut_at_other_lengths() -> None:
    short = with_values(CONFIG, {"data.block_size": 32})
    cut = {"cut": 3}
    found = reasons(run("a", dataset=cut), run("b", config=short, dataset=cut))
    assert found == dict.fromkeys(("ce", "loss", "eval_loss"), comparability.LENGTH)
    assert reasons(run("a"), run("b", config=short)) == {}  # nothing was cut


def test_the_loss_with_bce_is_no_loss_without() -> None:
    off = with_values(CONFIG, {"bce.enabled": False})
    assert reasons(run("a", config=off), run("b")) == {"loss": comparability.BCE_TERM}
    seed = with_values(off, {"bce.max_weight": 0.3})
    assert reasons(run("a", config=off), run("b", config=seed)) == {}  # off is off, whatever else is set


def test_a_run_from_elsewhere_says_nothing_about_its_text() -> None:
    found = reasons(run("a"), run("b", config=None, texts={}, status="imported"))
    assert set(found) == {"ce", "loss", "eval_loss", "eval_accuracy"}
    assert found["ce"] == comparability.TEXT_UNKNOWN and not found["ce"].known
    assert found["loss"] == comparability.BCE_TERM


def test_warnings_name_the_runs_once() -> None:
    other = TEXTS | {"validation": "v2"}
    sides = [run("a"), run("b", texts=other), run("c"), run("d", texts=other)]
    assert warnings(list(VALUES), sides, 0) == [
        "The checking text of “b” and “d” is another than that of “a”: their held-out figures cannot be compared."
    ]
    assert warnings(["ce"], sides, 0) == []


def test_names() -> None:
    moment = now()

    def record(run_id: str, name: str) -> RunRecord:
        return RunRecord(id=run_id, name=name, created=moment, status_since=moment)

    a, b, c = record("x-aaaa", "same"), record("x-bbbb", "same"), record("x-cccc", "other")
    assert side_names([(a, None), (b, None), (c, 1200)]) == ["same (aaaa)", "same (bbbb)", "other, step 1,200"]
    assert side_names([(a, 1), (a, 2)]) == ["same, step 1", "same, step 2"]


def test_all_names_of_a_warning_stand_in_one_list() -> None:
    sides = [run("a"), *(run(name, config=None, texts={}, status="imported") for name in ("b", "c"))]
    assert warnings(["eval_loss"], sides, 0) == [
        "Whether “a”, “b” and “c” were measured on the same text is not known: a lower loss may only mean an easier "
        "text."
    ]
    leaking = [run("a", facts=LEAKS), run("b", facts=TIGHT)]
    assert warnings(["ce"], leaking, 0)[0].startswith("Some of “a” and “b” can see")
    with_bce = [run("a", config=with_values(CONFIG, {"bce.enabled": False})), run("b"), run("c")]
    assert warnings(["loss"], with_bce, 0)[0].startswith("Among “a”, “b” and “c”, BCE’s own term")


def test_binary_cross_entropy_has_no_bce_term() -> None:
    binary = {"loss": {1: 1.0}, "bce_loss": {1: 0.3}}
    a, b = (side(name, binary, texts={}, status="imported") for name in "ab")
    assert obstacle("loss", a, b) == comparability.TEXT_UNKNOWN
    ours = side("c", {"bce_loss": {1: -0.4}, "bce_weight": {1: 0.2}}, config=CONFIG)
    assert obstacle("bce_loss", ours, a) == comparability.TWO_BCES
    assert obstacle("bce_loss", a, b) is None
