"""The recipes: all load, say only what is true of their keys, and the report's is the report's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bcecore import recipes
from bcecore.config import RunConfig, check_against_text
from bcecore.errors import BceError
from bcecore.recipes import load_recipe, recipe_names
from bcecore.settings import describe, differences, flatten
from bcecore.text.prepare import prepare

NAMES = [
    "quick-look",
    "report-10-epoch-offline",
    "report-10-epoch",
    "active-10-epoch",
    "hub-bert-tiny",
    "hub-smollm2-135m",
]
FOLDER = Path(recipes.__file__).parent / "recipes"


def test_the_recipes_are_those_of_the_issue_and_each_has_its_file() -> None:
    assert recipe_names() == NAMES
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{name}.json" for name in NAMES)
    assert recipes.DEFAULT_RECIPE == "quick-look"


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.title[0].isupper() or recipe.title.startswith("bert-tiny")
    assert recipe.summary.endswith(".")
    assert recipe.needs_network == (recipe.config.model.kind == "hub")
    known = {setting.key for setting in describe()}
    assert set(recipe.notes) <= known
    assert all(note.endswith(".") for note in recipe.notes.values())
    # Nothing in the file is misspelt into nothing: every value it gives is the one that the run gets.
    written = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert set(written) == {"title", "summary", "needs_network", "notes", "config"}
    got = flatten(recipe.config)
    for section, values in written["config"].items():
        for key, value in values.items():
            assert got[f"{section}.{key}"] == value


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_the_sample_text(name: str) -> None:
    config = load_recipe(name).config
    text = prepare(config.data)
    check_against_text(config, train_examples=len(text.train))
    total = config.total_steps(len(text.train))
    # A run that ends before its first check, or whose weight never reaches its end, would be a poor start.
    assert config.logging.eval_steps <= total
    assert config.logging.save_steps <= total
    assert config.bce.warmup_steps + config.bce.boost_span <= total or name.startswith(("report", "active"))


def test_quick_look_is_offline_causal_and_active() -> None:
    recipe = load_recipe("quick-look")
    assert not recipe.needs_network
    assert recipe.config.model.kind == "offline"
    assert recipe.config.model.causal
    assert recipe.config.bce.enabled
    assert recipe.config.bce.profile == "active"
    assert recipe.config.data.validation == "fraction"
    assert 100 <= recipe.config.total_steps(len(prepare(recipe.config.data).train)) <= 500


def test_the_reports_recipe_has_the_reports_numbers() -> None:
    config = load_recipe("report-10-epoch").config
    assert config.model.source == "prajjwal1/bert-tiny"
    assert not config.model.causal
    assert (config.data.validation, config.data.validation_rows) == ("first_rows_of_training", 2)
    assert (config.data.max_train_examples, config.data.block_size) == (200, 128)
    assert (config.training.epochs, config.training.batch_size) == (10, 1)
    assert config.training.gradient_accumulation_steps == 1
    assert (config.training.learning_rate, config.training.lr_scheduler) == (5e-5, "linear")
    assert config.training.warmup_steps == 400
    assert config.bce.profile == "seed"
    assert (config.bce.base_weight, config.bce.target_weight, config.bce.max_weight) == (0.2, 0.2, 0.5)
    assert (config.bce.warmup_steps, config.bce.boost_span) == (400, 2000)
    assert (config.bce.scale, config.bce.gain, config.bce.clamp_min, config.bce.clamp_max) == (1, 0, None, None)
    assert config.total_steps(200) == 2000
    assert config.logging.logging_steps == 1


def test_the_reports_recipe_says_what_is_wrong_with_it() -> None:
    for name in ("report-10-epoch", "report-10-epoch-offline"):
        notes = load_recipe(name).notes
        assert {"data.validation", "model.causal", "bce.profile", "data.max_train_examples", "model.source"} <= set(
            notes
        )


def test_the_reports_recipe_agrees_with_the_report(shared_data: Path) -> None:
    state = json.loads((shared_data / "report/trainer_state.json").read_text())
    facts = (shared_data / "report/10-epoch-run.md").read_text()
    lines = (shared_data / "report/huggingface_turkish_english_sample.txt").read_text().splitlines()
    config = load_recipe("report-10-epoch").config
    assert config.total_steps(len(lines)) == state["max_steps"]
    assert config.training.epochs == state["num_train_epochs"]
    assert config.training.batch_size == state["train_batch_size"]
    assert config.logging.save_steps == state["save_steps"]
    assert config.logging.eval_steps == state["eval_steps"]
    assert config.logging.logging_steps == state["logging_steps"]
    block = re.search(r"Block size \| (\d+)", facts)
    assert block is not None
    assert config.data.block_size == int(block[1])


def test_the_offline_twin_of_the_reports_recipe_differs_in_the_model_alone() -> None:
    online, offline = load_recipe("report-10-epoch").config, load_recipe("report-10-epoch-offline").config
    assert differences(online, offline) == {"model.source": ("prajjwal1/bert-tiny", "offline")}
    model = offline.model
    assert (model.num_hidden_layers, model.hidden_size, model.num_attention_heads) == (2, 128, 2)
    assert (model.intermediate_size, model.max_position_embeddings, model.dropout) == (512, 512, 0.1)


@pytest.mark.parametrize("name", ["quick-look", "active-10-epoch", "hub-bert-tiny", "hub-smollm2-135m"])
def test_new_runs_are_causal_held_out_and_active(name: str) -> None:
    config = load_recipe(name).config
    assert config.model.causal
    assert config.data.validation == "fraction"
    assert config.bce.profile == "active"


def test_smollm2_accumulates_and_takes_bf16_where_there_is_any() -> None:
    config = load_recipe("hub-smollm2-135m").config
    assert config.model.source == "HuggingFaceTB/SmolLM2-135M"
    assert config.training.gradient_accumulation_steps > 1
    assert config.training.precision == "auto"
    assert config.model.dtype == "float32"


@pytest.mark.parametrize(("name", "near"), [("quicklook", " Did you mean quick-look?"), ("", ""), ("../config", "")])
def test_a_recipe_that_is_not_there_is_refused_with_the_list(name: str, near: str) -> None:
    with pytest.raises(BceError) as caught:
        load_recipe(name)
    assert str(caught.value) == f"There is no recipe '{name}'.{near} The recipes are {', '.join(NAMES)}."


def test_no_recipe_is_just_the_defaults() -> None:
    for name in NAMES:
        assert len(differences(RunConfig(), load_recipe(name).config)) >= 3
