"""From a configuration to a run: everything it needs goes along, and a problem leaves nothing behind."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.errors import BceError, ConfigError, DiskFullError, ModelError, RunError, TextError
from bcecore.jobs import submit as submitting
from bcecore.jobs.submit import (
    TRACKERS,
    Checked,
    check,
    forget_upload,
    keep_upload,
    submit,
    with_absolute_paths,
    with_other_settings,
)
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from bcecore.text.prepare import prepare
from bcecore.text.reading import SAMPLE_TRAIN_FILE, read_texts
from bcecore.text.tokenizing import encode, load_tokenizer, train_wordpiece, write_tokenizer

SMALL = {
    "model.vocab_size": 300,
    "data.block_size": 16,
    "training.epochs": 2,
    "training.batch_size": 4,
    "bce.warmup_steps": 5,
}


@pytest.fixture
def config(text_file: Path) -> RunConfig:
    """A small run on forty lines: 36 for training, 18 steps."""
    return with_values(RunConfig(), {**SMALL, "data.train_file": str(text_file)})


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place for temporary files, which has to be empty again."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with its small files: a configuration and a vocabulary of 300 words."""
    folder = tmp_path / "model"
    write_tokenizer(with_values(RunConfig(), SMALL), read_texts(SAMPLE_TRAIN_FILE), folder)
    facts = {"model_type": "bert", "max_position_embeddings": 64, "vocab_size": 300}
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


def change_facts(model: Path, **facts: Any) -> None:
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


# A run that can be launched


def test_the_arithmetic_of_a_checked_run(config: RunConfig, scratch: Path) -> None:
    checked = check(config)
    assert (len(checked.train.ids), len(checked.validation.ids)) == (36, 4)
    assert (checked.steps_per_epoch, checked.total_steps) == (9, 18)
    assert checked.tokenizer.get_vocab_size() <= 300
    assert checked.config == config
    assert list(scratch.iterdir()) == []


def test_a_run_takes_along_everything_it_needs(store: RunStore, config: RunConfig, text_file: Path) -> None:
    prepared = prepare(config.data)
    run_id = submit(store, config, name="a run", recipe="quick-look")
    text_file.unlink()
    directory = store.directory(run_id)
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "run.json",
        "run.copy.json",
        "data/train.jsonl",
        "data/validation.jsonl",
        "data/tokenizer/tokenizer.json",
        "data/tokenizer/tokenizer_config.json",
    }
    assert read_texts(directory / "data" / "train.jsonl") == prepared.train
    assert read_texts(directory / "data" / "validation.jsonl") == prepared.validation
    assert store.config(run_id) == config
    record = store.record(run_id)
    assert (record.status, record.name, record.recipe) == ("queued", "a run", "quick-look")
    tokenizer = load_tokenizer(directory / "data" / "tokenizer")
    encoded = encode(tokenizer, prepared.train, config.data.block_size)
    assert record.dataset == {
        "source": config.data.train_file,
        "lines_read": 40,
        "dropped": {},
        "train_examples": 36,
        "validation_examples": 4,
        "train_tokens": encoded.tokens,
        "validation_tokens": encode(tokenizer, prepared.validation, 16).tokens,
        "cut": encoded.cut,
        "too_short": 0,
        "validation_also_in_training": 0,
        "vocabulary": tokenizer.get_vocab_size(),
        "fingerprints": prepared.fingerprints,
    }


def test_the_lines_of_a_run_are_exact(store: RunStore, config: RunConfig, tmp_path: Path) -> None:
    texts = [
        "Işık “açık” \\ kapalı",
        "two\nlines\r\nin one",
        "a\u2028b\x85c\x0bd",
        '{"text": "not the text"}',
        "🎉 é e\u0301",
    ]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    changes = {"data.train_file": str(source), "data.validation": "none", "bce.warmup_steps": 0}
    run_id = submit(store, with_values(config, changes), name="exact")
    lines = (store.directory(run_id) / "data" / "train.jsonl").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == [{"text": text} for text in texts]
    assert (store.directory(run_id) / "data" / "validation.jsonl").read_bytes() == b""


def test_two_runs_of_one_configuration_have_the_same_files(store: RunStore, config: RunConfig) -> None:
    one, other = (store.directory(submit(store, config, name=name)) for name in ("one", "other"))
    for path in (path for path in one.rglob("*") if path.is_file() and path.name not in ("run.json", "run.copy.json")):
        assert (other / path.relative_to(one)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["quick-look", "report-10-epoch-offline", "active-10-epoch"])
def test_every_offline_recipe_can_be_launched_as_it_is(store: RunStore, name: str) -> None:
    run_id = submit(store, load_recipe(name).config, name=name)
    assert store.config(run_id) == load_recipe(name).config
    assert store.record(run_id).dataset["train_examples"] >= 200


@pytest.mark.parametrize("name", ["report-10-epoch", "hub-bert-tiny", "hub-smollm2-135m"])
def test_a_recipe_from_the_hub_says_what_to_do_without_one(
    store: RunStore, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match=r"the Hub cannot be reached .* report-10-epoch-offline\.") as caught:
        submit(store, load_recipe(name).config, name=name)
    assert caught.value.field == "model.source"
    assert not store.root.exists()


def test_the_reports_run_on_its_own_text(store: RunStore, shared_data: Path) -> None:
    changes = {
        "data.train_file": str(shared_data / "report/huggingface_turkish_english_sample.txt"),
        "model.tokenizer": str(shared_data / "tokenizer"),
    }
    checked = check(with_values(load_recipe("report-10-epoch-offline").config, changes))
    assert (checked.total_steps, checked.steps_per_epoch) == (2000, 200)
    assert checked.tokenizer.get_vocab_size() == 30522
    assert (len(checked.train.ids), len(checked.validation.ids), checked.text.shared) == (200, 2, 2)


# Paths


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    config = with_values(
        RunConfig(),
        {
            "model.source": "./models/../model",
            "model.tokenizer": "~/tokenizer",
            "data.train_file": "texts/a.txt",
            "data.validation": "file",
            "data.validation_file": "../b.txt",
        },
    )
    made = with_absolute_paths(config)
    assert made.model.source == str(tmp_path / "model")
    assert made.model.tokenizer == str(tmp_path / "home" / "tokenizer")
    assert made.data.train_file == str(tmp_path / "texts" / "a.txt")
    assert made.data.validation_file == str(tmp_path.parent / "b.txt")
    assert with_absolute_paths(made, base=Path("/")) == made
    assert with_absolute_paths(config, base=Path("/base")).data.train_file == "/base/texts/a.txt"


def test_what_is_no_path_stays(tmp_path: Path) -> None:
    for changes in (
        {},
        {"model.source": "owner/name", "model.tokenizer": "owner/other"},
        {"data.validation": "file", "data.validation_file": "sample"},
        {"model.source": "x" * 300},
    ):
        config = with_values(RunConfig(), changes)
        assert with_absolute_paths(config, base=tmp_path) == config


def test_a_folder_is_meant_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    config = with_values(RunConfig(), {"model.source": "owner/name", "model.tokenizer": "owner/name"})
    made = with_absolute_paths(config, base=tmp_path)
    assert made.model.source == made.model.tokenizer == str(tmp_path / "owner" / "name")


def test_a_run_with_relative_paths_can_be_launched(
    store: RunStore, config: RunConfig, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text_file.parent)
    run_id = submit(store, with_values(config, {"data.train_file": text_file.name}), name="a run")
    assert store.config(run_id).data.train_file == str(text_file)


# Problems


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


FILES: dict[str, tuple[str, bytes | None, str]] = {
    "missing": ("a.txt", None, r"There is no file .*a\.txt\. Check the name"),
    "empty": ("a.txt", b"", r"a\.txt is empty"),
    "binary": ("a.txt", b"\x7fELF\0\0\0", r"a\.txt is not a text file"),
    "not utf-8": (
        "a.txt",
        "şu\nbu\n".encode("iso-8859-9"),
        r"a\.txt is not in UTF-8: byte 0xfe does not fit in line 1",
    ),
    "one line": ("a.txt", b"only one\n", r"1 usable line cannot be divided"),
    "no column, jsonl": ("a.jsonl", b'{"a": "x"}\n', r"a\.jsonl has no column 'text'"),
    "no column, csv": ("a.csv", b"a,b\n1,2\n", r"a\.csv has no column 'text'"),
    "no parquet": ("a.parquet", b"PAR1", r"a\.parquet is not a readable Parquet file"),
    "huge line": ("a.txt", b"x" * 1_000_001, r"Line 1 of a\.txt is longer than 1,000,000 characters"),
    "other kind": ("a.pdf", b"%PDF", r"a\.pdf is not a kind of file that can be read"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_leaves_nothing_behind(
    store: RunStore, config: RunConfig, tmp_path: Path, scratch: Path, case: str
) -> None:
    name, content, words = FILES[case]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((TextError, ConfigError), match=words) as caught:
        submit(store, with_values(config, {"data.train_file": str(path)}), name="a run")
    assert caught.value.field in ("data.train_file", "data.column", "data.validation")
    assert not store.root.exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"logging.report_to": ("nobody",)}, "logging.report_to", r"'nobody' is not a tracker .* tensorboard, wandb"),
        ({"model.source": "/no/such/model"}, "model.source", "There is no folder /no/such/model"),
        ({"model.tokenizer": "/no/such/tokenizer"}, "model.tokenizer", "There is no folder /no/such/tokenizer"),
        ({"model.source": "no--name"}, "model.source", "is neither a name on the Hugging Face Hub"),
        ({"bce.warmup_steps": 18}, "bce.warmup_steps", r"is not shorter than the run \(18 steps\)"),
        ({"training.warmup_steps": 18}, "training.warmup_steps", r"is not shorter than the run \(18 steps\)"),
        ({"data.min_characters": 100}, "data.min_characters", "the quality filter leaves none of the 40 lines"),
        (
            {"data.validation": "file", "data.validation_file": "/no/such.txt"},
            "data.validation_file",
            "There is no file /no/such.txt",
        ),
    ],
)
def test_a_problem_is_named_and_leaves_nothing_behind(
    store: RunStore, config: RunConfig, scratch: Path, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(BceError, match=words) as caught:
        submit(store, with_values(config, changes), name="a run")
    assert caught.value.field == field
    assert not store.root.exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 101])
def test_an_unusable_name_is_refused_before_anything_is_done(
    store: RunStore, config: RunConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(submitting, "check", lambda *_args: pytest.fail("the text was read"))
    with pytest.raises(RunError) as caught:
        submit(store, config, name=name)
    assert caught.value.field == "name"


@pytest.mark.parametrize("side", ["train", "validation"])
def test_texts_of_one_token_are_left_out_and_none_may_be_left(
    store: RunStore, config: RunConfig, tmp_path: Path, side: str
) -> None:
    # A tokenizer that adds nothing to a text: one letter is one token.
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("[UNK]\na\nb\n##b\n")
    good, short = write(tmp_path / "good.txt", b"a b\na\nab a\n" * 12), write(tmp_path / "short.txt", b"a\nb\n" * 30)
    files = {"train": good, "validation": good, side: short}
    settings = {
        "model.tokenizer": str(tokenizer),
        "data.train_file": files["train"],
        "data.validation": "file",
        "data.validation_file": files["validation"],
    }
    words = {"train": r"none of the 60 training lines has two tokens", "validation": "no checking line has two tokens"}
    with pytest.raises(ConfigError, match=words[side]) as caught:
        submit(store, with_values(config, settings), name="a run")
    assert caught.value.field == {"train": "data.train_file", "validation": "data.validation"}[side]
    assert not store.root.exists()
    checked = check(with_values(config, {**settings, "data.train_file": good, "data.validation_file": good}))
    assert (len(checked.train.ids), checked.train.too_short, checked.dataset["too_short"]) == (24, 12, 24)


@pytest.mark.parametrize("where", ["runs", "scratch"])
def test_a_full_disk_leaves_nothing_behind(
    tiny_disk: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    # The lines of the sample fit, the tokenizer does not.
    disk = tiny_disk(120)
    store = RunStore((disk if where == "runs" else tmp_path) / "runs")
    if where == "scratch":
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with pytest.raises(DiskFullError, match="The disk is full"):
        submit(store, with_values(RunConfig(), {"model.vocab_size": 8192}), name="a run")
    assert not store.root.exists() or list(store.root.iterdir()) == []
    assert [path.name for path in disk.iterdir()] in ([], ["runs"])


# Models of this machine


def test_a_model_of_this_machine_is_checked_without_its_weights(config: RunConfig, model: Path) -> None:
    checked = check(with_values(config, {"model.source": str(model), "data.block_size": 64}))
    assert checked.tokenizer.get_vocab_size() == 300
    assert checked.total_steps == 18


def test_a_block_beyond_what_the_model_can_read_is_refused(config: RunConfig, model: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"longer than the model can read \(64 tokens\)\. Set it to 64 or less"
    ) as caught:
        check(with_values(config, {"model.source": str(model), "data.block_size": 65}))
    assert caught.value.field == "data.block_size"
    change_facts(model, model_type="roberta", pad_token_id=1)
    with pytest.raises(ConfigError, match=r"\(62 tokens\)"):
        check(with_values(config, {"model.source": str(model), "data.block_size": 64}))


@pytest.mark.parametrize(("family", "fits"), [("bert", True), ("roberta", True), ("gpt2", False), ("llama", False)])
def test_only_bert_s_family_can_look_ahead(config: RunConfig, model: Path, family: str, fits: bool) -> None:
    change_facts(model, model_type=family)
    leaky = with_values(config, {"model.source": str(model), "model.causal": False})
    if fits:
        assert not check(leaky).config.model.causal
        return
    with pytest.raises(ModelError, match=rf"\({family}\) always reads left to right") as caught:
        check(leaky)
    assert caught.value.field == "model.causal"
    assert check(with_values(leaky, {"model.causal": True})).total_steps == 18


def test_a_tokenizer_that_knows_more_words_than_the_model_is_refused(config: RunConfig, model: Path) -> None:
    change_facts(model, vocab_size=299)
    with pytest.raises(ModelError, match=r"knows 300 tokens, but .*model only 299") as caught:
        check(with_values(config, {"model.source": str(model)}))
    assert caught.value.field == "model.tokenizer"


def test_a_model_without_a_tokenizer_is_refused(store: RunStore, config: RunConfig, model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json and no vocab\.txt"):
        submit(store, with_values(config, {"model.source": str(model)}), name="a run")
    assert not store.root.exists()


def test_a_run_keeps_its_own_copy_of_the_models_tokenizer(store: RunStore, config: RunConfig, model: Path) -> None:
    run_id = submit(store, with_values(config, {"model.source": str(model)}), name="a run")
    shutil.rmtree(model)
    tokenizer = store.directory(run_id) / "data" / "tokenizer"
    assert {path.name for path in tokenizer.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    assert load_tokenizer(tokenizer).get_vocab_size() == 300


# Trackers


def test_a_tracker_has_to_be_installed(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    installed: set[str] = set()

    def find(name: str) -> Any:
        return real("json") if name in installed else None

    monkeypatch.setattr(submitting.importlib.util, "find_spec", find)
    wanted = with_values(config, {"logging.report_to": "wandb,tensorboard"})
    installed.add("wandb")
    with pytest.raises(ConfigError, match=r"'tensorboard' is not installed here\. Install it with `pip install tensor"):
        check(wanted)
    installed.add("tensorboard")
    assert check(wanted).config.logging.report_to == ("wandb", "tensorboard")


def test_the_trackers_are_hugging_faces() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    assert set(TRACKERS) <= set(INTEGRATION_TO_CALLBACK)


def test_who_asks_is_told_what_was_found_and_can_prevent_the_run(config: RunConfig, store: RunStore) -> None:
    told: list[Checked] = []
    run_id = submit(store, config, name="told", before=told.append)
    assert [checked.config for checked in told] == [store.config(run_id)]

    def refuse(_: Checked) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit(store, config, name="prevented", before=refuse)
    assert store.ids() == [run_id]


@pytest.mark.parametrize("facts", [{"max_position_embeddings": 48}, {"n_positions": 48}, {}])
def test_what_the_model_can_hold_is_found_out(config: RunConfig, tmp_path: Path, facts: dict[str, int]) -> None:
    assert check(config).longest_possible == config.model.max_position_embeddings
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"} | facts))
    train_wordpiece(["Line 1: 1 and 1 make 2."], 100).save(str(folder / "tokenizer.json"))
    local = with_values(config, {"model.source": str(folder), "data.block_size": 32})
    assert check(local).longest_possible == next(iter(facts.values()), None)


# While somebody edits


def test_other_settings_are_checked_without_reading_again(
    config: RunConfig, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = check(config)
    text_file.unlink()
    longer = with_values(config, {"training.epochs": 4, "bce.max_weight": 0.9})
    assert with_other_settings(checked, longer) == Checked(
        longer, checked.text, checked.tokenizer, checked.train, checked.validation, 36, 9, 512
    )
    for changes, field in (
        ({"training.warmup_steps": 18}, "training.warmup_steps"),
        ({"logging.report_to": "nobody"}, "logging.report_to"),
    ):
        with pytest.raises(ConfigError) as caught:
            with_other_settings(checked, with_values(config, changes))
        assert caught.value.field == field
    with pytest.raises(AssertionError):
        with_other_settings(checked, with_values(config, {"data.block_size": 8}))


# Uploads


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("lines.txt", ".txt"),
        ("Satırlar.CSV", ".csv"),
        ("../../../etc/cron.d/x.txt", ".txt"),
        ("C:\\x\\y.parquet", ".parquet"),
        ("x.py", ".unknown"),
        ("no suffix", ".unknown"),
        ("x.txt/../../y", ".unknown"),
        ("", ".unknown"),
        (".txt", ".unknown"),
        ("a\0b.txt", ".txt"),
    ],
)
def test_of_an_uploads_name_only_the_suffix_is_used(store: RunStore, name: str, suffix: str) -> None:
    path = keep_upload(store, name, b"content")
    assert path.parent == store.root / ".uploads"
    assert re.fullmatch(rf"[0-9a-f]{{16}}{re.escape(suffix)}", path.name)
    assert path.read_bytes() == b"content"
    assert keep_upload(store, name, b"other") != path
    forget_upload(path)
    forget_upload(path)
    assert not path.exists()
    assert store.ids() == []


def test_an_upload_that_does_not_fit_leaves_nothing_behind(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(64))
    with pytest.raises(DiskFullError, match="The disk is full"):
        keep_upload(store, "lines.txt", b"x" * 100_000)
    assert list((store.root / ".uploads").iterdir()) == []


def test_a_run_outlives_its_upload(store: RunStore, config: RunConfig, text_file: Path) -> None:
    upload = keep_upload(store, "lines.txt", text_file.read_bytes())
    run_id = submit(store, with_values(config, {"data.train_file": str(upload)}), name="a run")
    forget_upload(upload)
    assert len(read_texts(store.directory(run_id) / "data" / "train.jsonl")) == 36
    assert list((store.root / ".uploads").iterdir()) == []
