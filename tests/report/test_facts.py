import pytest

from bcecore.report.facts import (
    NEVER_KNOWN,
    UNKNOWN,
    bce_weight_words,
    learning_rate_words,
    run_facts,
    settings_by_section,
    text_words,
)
from bcecore.report.summary import RunSummary, summarise
from bcecore.settings import describe
from bcecore.store.history import History
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run


def facts_of(store: RunStore, run_id: str) -> dict[str, str]:
    history = History(store.directory(run_id))
    history.refresh()
    return dict(run_facts(store.record(run_id), store.config(run_id), summarise(history.series), now()))


def test_the_facts_of_a_finished_run_are_those_of_the_report(store: RunStore) -> None:
    config = example_config("report-10-epoch-offline", logging__eval_steps=100)
    facts = facts_of(store, example_run(store, config=config, steps=300, leaks=True))
    assert list(facts)[:11] == [
        "Model",
        "Text",
        "Epochs",
        "Batch size",
        "Longest example (block size)",
        "Learning rate",
        "BCE weight",
        "Steps",
        "Wall clock",
        "Pace",
        "Final training loss",
    ]
    assert facts["Epochs"] == "10"
    assert facts["Learning rate"] == "5.0e-5 (linear decay, warm-up over 400 steps)"
    assert facts["Steps"] == "300"
    assert facts["Wall clock"] == "1 m"
    assert facts["Pace"] == "18.7 steps/s"
    assert facts["Final training loss"] == "3.9100 (mean over the run, BCE’s term included), 2.9338 at step 300"
    assert facts["Weights"] == "743,552"
    assert facts["Reads left to right"] == "no: later words change earlier predictions (by up to 3.27)"
    assert facts["CE on checking text"].endswith("on lines that it was trained on")
    assert facts["Lines"] == "459 read, 413 to learn from, 46 to check"
    assert facts["Lines left out"] == "3 too short, 1 with fewer than two tokens"
    assert facts["Lines cut"] == "7, after 128 tokens"
    assert facts["Versions"] == "torch 2.13.0"


def test_what_is_not_known_yet_is_not_made_up(store: RunStore) -> None:
    facts = facts_of(store, example_run(store, "queued"))
    assert facts["Steps"] == facts["Weights"] == facts["Last CE"] == UNKNOWN
    assert "Started" not in facts


def test_what_will_never_be_known_is_not_promised(store: RunStore) -> None:
    facts = facts_of(store, example_run(store, "crashed"))
    assert facts["Final training loss"] == NEVER_KNOWN
    assert UNKNOWN not in facts.values()


def test_a_run_that_goes_on_says_so(store: RunStore) -> None:
    facts = facts_of(store, example_run(store, "running"))
    assert facts["Steps"] == "120 of 300"
    assert facts["Wall clock"].endswith("so far")


def test_facts_without_any_paths(store: RunStore) -> None:
    config = example_config(data__train_file="/home/somebody/private/notes.txt", model__source="/srv/models/mine")
    facts = dict(run_facts(store.record(example_run(store, config=config)), config, RunSummary(), now()))
    assert facts["Text"] == "notes.txt"
    assert facts["Model"] == "mine (a folder on this machine)"
    assert "somebody" not in str(facts)


def test_names_of_texts() -> None:
    assert text_words("sample") == "the sample text that comes with the program"
    assert text_words("/runs/.uploads/0f3a.csv") == "an uploaded .csv file"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "0 to 0.2 over 60 steps, then to 0.5 over 200 steps; 0.368 at the last step (active profile)"),
        ({"bce__enabled": False}, "off (0 at every step)"),
        ({"bce__max_weight": 0.0}, "0 to 0.2 over 60 steps; 0.2 at the last step (active profile)"),
        ({"bce__warmup_steps": 0, "bce__max_weight": 0.0}, "0.2; 0.2 at the last step (active profile)"),
    ],
)
def test_the_bce_weight_in_words(changes: dict[str, object], words: str) -> None:
    assert bce_weight_words(example_config(**changes), 172) == words


def test_the_learning_rate_in_words() -> None:
    config = example_config(training__lr_scheduler="constant", training__learning_rate=0.001)
    assert learning_rate_words(config) == "1.0e-3 (constant)"


def test_every_setting_has_a_row_in_its_section() -> None:
    config = example_config(data__train_file="/tmp/a/b.txt", bce__clamp_min=-1.0)
    sections = settings_by_section(config, lambda key, choice: f"{choice} of {key}")
    assert list(sections) == ["Model", "Text", "Training", "BCE", "Logging and checkpoints"]
    assert sum(len(rows) for rows in sections.values()) == len(describe())
    text = dict(sections["Text"])
    assert text["Training text"] == "b.txt"
    assert text["Longest example"] == "64 tokens"
    assert dict(sections["BCE"])["Use BCE"] == "on"
    assert dict(sections["BCE"])["Largest BCE value"] == "not set"
    assert dict(sections["BCE"])["Kind of BCE"] == "active of bce.profile"
    assert dict(sections["Training"])["Batches per step (accumulation)"] == "1 batch"
    assert dict(sections["Training"])["Learning speed (learning rate)"] == "0.001"
    assert dict(sections["Logging and checkpoints"])["Also report to"] == "none"
