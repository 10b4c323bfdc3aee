"""New runs made from earlier ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, RunError
from bcecore.jobs import derive
from bcecore.jobs.derive import clone_config, extend, extended_config, suggested_changes
from bcecore.jobs.submit import check, submit
from bcecore.settings import differences, with_values
from bcecore.store.record import Failure
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run

BRIEF = {"training.warmup_steps": 0, "bce.warmup_steps": 0}


@pytest.fixture(autouse=True)
def nobody_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "wake", lambda store: None)


class TestClone:
    def test_settings_are_the_same_while_the_text_is_there(self, store: RunStore, text_file: Path) -> None:
        config = with_values(RunConfig(), BRIEF | {"data.train_file": str(text_file)})
        run_id = submit(store, config, name="a")
        assert clone_config(store, run_id) == store.config(run_id)

    @pytest.mark.parametrize("validation", ["fraction", "none", "first_rows_of_training"])
    def test_a_text_that_is_gone_is_replaced_by_the_run_s_own_lines(
        self, store: RunStore, text_file: Path, validation: str
    ) -> None:
        config = with_values(RunConfig(), BRIEF | {"data.train_file": str(text_file), "data.validation": validation})
        run_id = submit(store, config, name="a")
        text_file.unlink()
        clone = check(clone_config(store, run_id))
        lines = (store.directory(run_id) / "data" / "train.jsonl").read_text().splitlines()
        assert clone.text.train == [json.loads(line)["text"] for line in lines]
        record = store.record(run_id)
        assert len(clone.validation.ids) == record.dataset["validation_examples"]


class TestExtendedLength:
    def test_epochs_or_steps(self) -> None:
        by_epochs = with_values(RunConfig(), BRIEF | {"training.epochs": 3})
        assert extended_config(by_epochs, 2.5, None).training.epochs == 5.5
        by_steps = with_values(RunConfig(), BRIEF | {"training.max_steps": 100})
        assert extended_config(by_steps, None, 50).training.max_steps == 150

    def test_nothing_else_changes(self) -> None:
        config = with_values(RunConfig(), BRIEF | {"training.epochs": 3})
        assert list(differences(config, extended_config(config, 2, None))) == ["training.epochs"]

    @pytest.mark.parametrize(
        ("config", "epochs", "steps", "words"),
        [
            ({"training.epochs": 3}, None, 5, "by epochs"),
            ({"training.max_steps": 3}, 5, None, "by steps"),
            ({"training.epochs": 3}, None, None, "how much further"),
            ({"training.epochs": 3}, 1, 1, "how much further"),
            ({"training.epochs": 3}, -1, None, "above 0"),
            ({"training.max_steps": 3}, None, 0, "above 0"),
        ],
    )
    def test_refused(self, config: dict[str, float], epochs: float | None, steps: int | None, words: str) -> None:
        before = with_values(RunConfig(), BRIEF | config)
        with pytest.raises((RunError, ConfigError), match=words):
            extended_config(before, epochs, steps)


class TestExtend:
    def test_takes_text_checkpoint_and_log_along(self, store: RunStore) -> None:
        run_id = example_run(store, checkpoints=(60, 100))
        source = store.directory(run_id)
        (source / "data" / "train.jsonl").write_text('{"text": "a"}\n')
        for step in (60, 100):
            (source / f"checkpoints/checkpoint-{step}/trainer_state.json").write_text("{}")
        new = extend(store, run_id, epochs=2, name="further")
        record, directory = store.record(new), store.directory(new)
        assert (record.parent, record.resume_from, record.status, record.name) == (run_id, "100", "queued", "further")
        assert (directory / "data" / "train.jsonl").read_text() == '{"text": "a"}\n'
        assert [path.name for path in (directory / "checkpoints").iterdir()] == ["checkpoint-100"]
        steps = [json.loads(line)["step"] for line in (directory / "metrics.jsonl").read_text().splitlines()]
        assert max(steps) == 100 and len(set(steps)) == 100
        assert store.config(new).training.epochs == store.config(run_id).training.epochs + 2

    def test_only_what_is_finished_and_has_a_checkpoint(self, store: RunStore) -> None:
        with pytest.raises(RunError, match=r"is stopped\. Only a finished run"):
            extend(store, example_run(store, "stopped", checkpoints=(50,)), epochs=1)
        with pytest.raises(RunError, match="no whole checkpoint"):
            extend(store, example_run(store), epochs=1)
        assert len(store.ids()) == 2


class TestSuggestions:
    def suggested(self, store: RunStore, kind: str, **changes: object) -> object:
        config = example_config(**changes)
        failure = Failure.model_validate({"message": "Why.", "kind": kind})
        return suggested_changes(store.record(example_run(store, "failed", failure=failure, config=config)), config)

    def test_a_lower_learning_rate_after_a_number_that_is_not_finite(self, store: RunStore) -> None:
        assert self.suggested(store, "non-finite", training__learning_rate=3e-3) == {"training.learning_rate": 3e-4}

    def test_smaller_batches_where_memory_is_full(self, store: RunStore) -> None:
        assert self.suggested(store, "memory", training__batch_size=8) == {
            "training.batch_size": 4,
            "training.gradient_accumulation_steps": 2,
        }
        assert self.suggested(store, "memory", training__batch_size=1) == {}

    def test_fewer_checkpoints_where_the_disk_is_full(self, store: RunStore) -> None:
        assert self.suggested(store, "disk") == {"logging.save_total_limit": 1}
        assert self.suggested(store, "disk", logging__save_total_limit=1) == {}

    def test_nothing_where_nothing_helps(self, store: RunStore) -> None:
        assert self.suggested(store, "") == {}
        record = store.record(example_run(store, "finished"))
        assert suggested_changes(record, example_config()) == {}
