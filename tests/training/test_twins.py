"""What a training process records so that twins can be told from runs that only look like them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, ask
from bcecore.training.engine import Collator, TokenizedText
from bcecore.training.requests import FollowRequests
from bcecore.training.trainer import BCETrainer
from bcecore.training.twins import TWIN_FILE, TwinWatch, model_hash, random_hash

MakeTrainer = Callable[..., BCETrainer]
CPU = torch.device("cpu")
SHORT = {"training.max_steps": 12, "logging.eval_steps": 5, "training.gradient_accumulation_steps": 2}


def facts_of(trainer: BCETrainer) -> dict[str, Any]:
    """What a run of this trainer has in its record, its final weights included."""
    trainer.train()
    return trainer.twin.facts(trainer.state.global_step, CPU) | {"final_weights": model_hash(trainer.model)}


@pytest.fixture
def record(make_trainer: MakeTrainer) -> Callable[..., dict[str, Any]]:
    return lambda **changes: facts_of(make_trainer(SHORT | {k.replace("__", "."): v for k, v in changes.items()}))


def test_twins_differ_in_nothing_but_what_the_regulariser_did(record: Callable[..., dict[str, Any]]) -> None:
    off = record(bce__enabled=False)
    seed = record(bce__profile="seed")
    active = record(bce__profile="active")
    assert off["steps"] == 12 and off["first_step"] == 0 and None not in off.values()
    assert off["random_start"] != off["random_end"] and off["initial_weights"] != off["final_weights"]
    assert off["bce_gradient"] == {"measured": 0, "largest": None}
    # The seed profile has no gradient: everything is equal, and the record says that it was measured.
    assert seed == off | {"bce_gradient": {"measured": 1, "largest": 0.0}}
    assert active["bce_gradient"]["measured"] == 1 and active["bce_gradient"]["largest"] > 0
    assert active["final_weights"] != off["final_weights"]
    own = ("bce_gradient", "final_weights")
    assert {k: v for k, v in active.items() if k not in own} == {k: v for k, v in off.items() if k not in own}


def test_another_seed_varies_the_weights_the_order_and_dropout(record: Callable[..., dict[str, Any]]) -> None:
    first, second = record(training__seed=1), record(training__seed=2)
    assert first.keys() == second.keys()
    assert {key for key in first if first[key] == second[key]} == {"first_step", "steps"}


def test_the_record_knows_whether_text_was_added_or_changed_its_place(
    make_trainer: MakeTrainer, small_text: TokenizedText
) -> None:
    watches = [TwinWatch(), TwinWatch(), TwinWatch(), TwinWatch()]
    one, other = (Collator(0)([example]) for example in small_text.train[:2])
    for watch, batches in zip(watches, [[one, other], [one, other], [other, one], [one]], strict=True):
        for step, batch in enumerate(batches, 1):
            watch.take(step, batch)
    same, again, swapped, shorter = (watch.facts(2, CPU)["data_order"] for watch in watches)
    assert same == again and len({same, swapped, shorter}) == 3
    # The same two texts in one step are not the same two in two.
    together = TwinWatch()
    together.take(1, one)
    together.take(1, other)
    assert together.facts(1, CPU)["data_order"] != same
    # A label that is not scored is another batch.
    unscored = one | {"labels": torch.full_like(one["labels"], -100)}
    assert len({_order_of(one), _order_of(unscored)}) == 2
    assert TwinWatch().facts(0, CPU)["data_order"] is None


def _order_of(batch: dict[str, torch.Tensor]) -> str:
    watch = TwinWatch()
    watch.take(1, batch)
    return str(watch.facts(1, CPU)["data_order"])


def test_batches_of_a_graphics_card_are_fetched_later_in_their_order(
    small_text: TokenizedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [Collator(0)([small_text.train[number % 7]]) for number in range(150)]
    at_once, later = TwinWatch(), TwinWatch()
    for step, batch in enumerate(batches, 1):
        at_once.take(step, batch)
    monkeypatch.setattr(torch.Tensor, "is_cpu", property(lambda _: False))
    for step, batch in enumerate(batches, 1):
        later.take(step, batch)
    assert len(later._pending) == 150 % 64
    assert later.facts(150, CPU)["data_order"] == at_once.facts(150, CPU)["data_order"]


class _Look(TrainerCallback):
    """Asks for a check and for samples while the run trains."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 4:
            ask(self._directory, EVALUATE_REQUEST)
            ask(self._directory, SAMPLE_REQUEST)


def test_a_check_and_samples_on_request_draw_nothing_from_the_stream(
    make_trainer: MakeTrainer, small_text: TokenizedText, record: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    requests = FollowRequests(tmp_path, small_text)
    trainer = make_trainer(SHORT, callbacks=[_Look(tmp_path), requests], folder="watched")
    requests.trainer = trainer
    looked_at = facts_of(trainer)
    assert (tmp_path / "samples.jsonl").is_file()
    assert looked_at == record()


def test_a_resumed_run_has_the_record_of_one_that_was_not(make_trainer: MakeTrainer) -> None:
    # Seven texts in batches of 2: the checkpoint is within an epoch.
    changes = SHORT | {"logging.save_steps": 7, "training.gradient_accumulation_steps": 1}
    whole = facts_of(make_trainer(changes, folder="whole"))
    first = make_trainer(changes, folder="cut")
    first.train()
    assert first.args.output_dir is not None
    checkpoint = Path(first.args.output_dir) / "checkpoint-7"
    assert json.loads((checkpoint / TWIN_FILE).read_text())["data_order"] != whole["data_order"]
    resumed = make_trainer(changes, folder="cut")
    resumed.train(resume_from_checkpoint=str(checkpoint))
    facts = resumed.twin.facts(resumed.state.global_step, CPU) | {"final_weights": model_hash(resumed.model)}
    assert facts == whole


def test_a_run_that_goes_on_from_another_begins_a_record_of_its_own(make_trainer: MakeTrainer) -> None:
    parent = make_trainer(SHORT | {"logging.save_steps": 12}, folder="parent")
    parent.twin.run = "parent"
    before = facts_of(parent)
    assert parent.args.output_dir is not None
    checkpoint = Path(parent.args.output_dir) / "checkpoint-12"
    found = []
    for folder in ("child", "again"):
        child = make_trainer(SHORT | {"training.max_steps": 20}, folder=folder)
        child.twin.run = folder
        child.train(resume_from_checkpoint=str(checkpoint))
        found.append(child.twin.facts(child.state.global_step, CPU))
    assert found[0] == found[1]
    assert (found[0]["first_step"], found[0]["steps"]) == (12, 20)
    assert found[0]["initial_weights"] == before["final_weights"]
    assert found[0]["random_start"] != before["random_start"]
    assert found[0]["data_order"] not in (None, before["data_order"])


def test_what_a_checkpoint_does_not_say_is_not_made_up(make_trainer: MakeTrainer) -> None:
    changes = SHORT | {"logging.save_steps": 6}
    first = make_trainer(changes)
    first.train()
    assert first.args.output_dir is not None
    checkpoint = Path(first.args.output_dir) / "checkpoint-6"
    (checkpoint / TWIN_FILE).unlink()  # as one that was saved before there were such records
    resumed = make_trainer(changes)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    facts = resumed.twin.facts(12, CPU)
    unknown = {"initial_weights", "data_order", "random_start", "random_end"}
    assert {key for key, value in facts.items() if value is None} == unknown
    once_more = make_trainer(changes | {"training.max_steps": 18})
    once_more.train(resume_from_checkpoint=str(Path(first.args.output_dir) / "checkpoint-12"))
    assert once_more.twin.facts(18, CPU)["initial_weights"] is None


def test_the_hash_of_weights_is_of_every_bit_and_every_name() -> None:
    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        made = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        made.register_buffer("hidden", torch.tensor([True, False]), persistent=False)
        return made

    plain = model_hash(model())
    assert plain == model_hash(model())
    changed = model()
    with torch.no_grad():
        weight = changed[0].weight.view(-1)  # type: ignore[index]
        weight[5] = torch.nextafter(weight[5], torch.tensor(9.0))
    flag = model()
    flag.hidden[0] = False  # type: ignore[operator,index]
    renamed = torch.nn.Sequential(*model().children())
    wider = model().double()
    assert len({plain, *map(model_hash, (changed, flag, renamed, wider))}) == 5


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "import torch\nfrom bcecore.training.twins import model_hash, random_hash\ntorch.manual_seed(7)\n"
        "print(random_hash(torch.device('cpu')), model_hash(torch.nn.Linear(5, 5)))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    torch.manual_seed(7)
    assert other.stdout.split() == [random_hash(CPU), model_hash(torch.nn.Linear(5, 5))]
