from __future__ import annotations

from typing import Any

from bcecore.config import RunConfig
from bcecore.report.differences import NOT_KNOWN, differences, seed_groups
from bcecore.settings import describe, with_values
from bcecore.store.imported import Imported
from tests.report.sides import TEXTS, side

CONFIG = RunConfig()
SETTINGS = len(describe())


def run(name: str, changes: dict[str, Any] | None = None, **given: Any) -> Any:
    return side(name, {"ce": {1: 1.0}}, config=with_values(CONFIG, changes or {}), **given)


def choice(key: str, value: str) -> str:
    return f"<{value}>"


def rows(*sides: Any) -> dict[str, tuple[str, ...]]:
    return {row.key: row.words for row in differences(sides, choice).rows}


def test_only_what_differs_and_how_much_does_not() -> None:
    a, b = run("a"), run("b", {"training.learning_rate": 3e-5, "bce.enabled": False, "model.source": "gpt2"})
    found = differences([a, b], choice)
    assert [(row.key, row.title, row.words) for row in found.rows] == [
        ("model.source", "Model", ("offline", "gpt2")),
        ("training.learning_rate", "Learning speed (learning rate)", ("5e-5", "3e-5")),
        ("bce.enabled", "Use BCE", ("on", "off")),
    ]
    assert (found.equal, found.unknown) == (SETTINGS - 3, 0)
    assert found.rest_words == f"The other {SETTINGS - 3} settings are equal."
    assert differences([a, a], choice).rest_words == f"All {SETTINGS} settings are equal."


def test_not_set_is_a_value_and_not_known_is_none() -> None:
    a, b = run("a", {"training.max_steps": 1000}), run("b")
    assert rows(a, b)["training.max_steps"] == ("1,000 steps", "not set")
    elsewhere = side("c", {"ce": {1: 1.0}}, imported=Imported(facts={"batch_size": 99, "epochs": 3}), texts={})
    found = differences([a, b, elsewhere], choice)
    words = {row.key: row.words for row in found.rows}
    assert words["training.batch_size"] == ("4 lines", "4 lines", "99 lines")
    assert words["training.max_steps"] == ("1,000 steps", "not set", NOT_KNOWN)
    assert "training.epochs" not in words  # 3 and 3.0 are one number
    assert (found.equal, found.unknown) == (1, SETTINGS - 3)
    assert "cannot be compared: not every run says what it had" in found.rest_words


def test_what_a_trainers_state_says() -> None:
    state = {"num_train_epochs": 10, "train_batch_size": 1, "max_steps": 2000}
    elsewhere = side("c", {"ce": {1: 1.0}}, imported=Imported(state=state, facts={"device": "cpu"}), texts={})
    words = rows(run("a", device="cuda"), elsewhere)
    assert words["training.epochs"] == ("3 epochs", "10 epochs")
    assert words["training.batch_size"] == ("4 lines", "1 line")
    assert words["device"] == ("cuda", "cpu")


def test_values_that_look_alike_are_written_out() -> None:
    a, b = run("a", {"training.learning_rate": 1.0000001e-3}), run("b", {"training.learning_rate": 1.0000002e-3})
    assert rows(a, b)["training.learning_rate"] == ("0.0010000001", "0.0010000002")


def test_texts_get_letters_and_choices_their_words() -> None:
    lines = {"validation_examples": 46, "train_examples": 413}
    a = run("a", dataset=lines)
    b = run("b", {"training.lr_scheduler": "cosine"}, texts=TEXTS | {"validation": "v2"}, dataset=lines)
    c = run("c", texts=TEXTS | {"validation": "v2"})
    words = rows(a, b, c)
    assert words["validation"] == ("text A, 46 lines", "text B, 46 lines", "text B")
    assert words["training.lr_scheduler"] == ("<linear>", "<cosine>", "<linear>")
    assert "train" not in words


def test_versions_devices_and_what_was_found_out() -> None:
    probe = {"leaks": True, "largest_change": 3.2}
    a = run("a", versions={"torch": "2.13.0", "numpy": "2"}, device="cpu", facts={"weights": 1000})
    b = run("b", versions={"torch": "2.14.0", "numpy": "2"}, device="cpu", facts={"weights": 2000, "leak_probe": probe})
    assert rows(a, b) == {"weights": ("1,000", "2,000"), "version torch": ("2.13.0", "2.14.0")}


def test_groups_differ_in_their_seed_only() -> None:
    off = {"bce.enabled": False}
    sides = [
        run("on 1", {"training.seed": 1}),
        run("off 1", off | {"training.seed": 1}),
        run("on 2", {"training.seed": 2}),
        run("off 2", off | {"training.seed": 2}),
        run("on 3", {"training.seed": 3}),
        run("on 4, another text", {"training.seed": 4}, texts=TEXTS | {"train": "t2"}),
        side("elsewhere", {"ce": {1: 1.0}}),
    ]
    found = seed_groups(sides)
    assert [(group.name, group.members, group.seeds) for group in found] == [
        ("on 1 and 2 more", (0, 2, 4), (1, 2, 3)),
        ("off 1 and 1 more", (1, 3), (1, 2)),
    ]


def test_one_seed_twice_is_no_group() -> None:
    assert seed_groups([run("a"), run("b")]) == []
