"""The texts of an evaluation: where they come from, which are left out, and what cannot be one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from bcecore.errors import BceError, ModelError, RunError, TextError
from bcecore.evaluation import splits
from bcecore.evaluation.hub import WIKITEXT_2, HubDataset, HubTexts
from bcecore.evaluation.splits import (
    Reading,
    file_split,
    hub_dataset,
    hub_split,
    labelled_split,
    own_split,
    reading_of,
)
from bcecore.evaluation.template import DEFAULT_TEMPLATE
from bcecore.jobs.submit import submit
from bcecore.store.runs import RunStore
from bcecore.text.reading import read_texts
from tests.examples import example_config, example_run

LABELLED = [("good film", "pos"), ("bad film", "neg"), ("dull", "neg"), ("fine", "pos")]


@pytest.fixture
def reading() -> Reading:
    """A tokenizer without special tokens: a line of one word is one token."""
    tokenizer = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Reading(tokenizer, block_size=16)


@pytest.fixture
def run_id(store: RunStore) -> str:
    return submit(store, example_config(model__vocab_size=300, data__block_size=128), name="a run")


def labelled(path: Path, rows: Sequence[tuple[str | None, str | None]] = LABELLED) -> Path:
    lines = [{"text": text, "label": label} for text, label in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


# How texts are read


def test_texts_are_read_as_in_training(store: RunStore, run_id: str) -> None:
    reading = reading_of(store, run_id)
    assert (reading.block_size, reading.long_texts, reading.stride) == (128, "truncate", None)
    frozen = store.directory(run_id) / "data" / "tokenizer" / "tokenizer.json"
    assert reading.tokenizer.to_str() == tokenizers.Tokenizer.from_file(str(frozen)).to_str()
    assert reading_of(store, run_id, "window").stride == 64
    assert reading_of(store, run_id, "window", 127).stride == 127


@pytest.mark.parametrize("stride", [0, -1, 128, 1000])
def test_windows_have_to_overlap(store: RunStore, run_id: str, stride: int) -> None:
    with pytest.raises(RunError, match=r"The stride has to lie between 1 and 127 tokens, got ") as caught:
        reading_of(store, run_id, "window", stride)
    assert caught.value.field == "stride"


def test_a_stride_without_windows_is_refused(store: RunStore, run_id: str) -> None:
    with pytest.raises(RunError, match="A stride belongs to windows"):
        reading_of(store, run_id, "truncate", 5)


def test_an_imported_run_and_a_lost_tokenizer_are_told(store: RunStore, run_id: str) -> None:
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        reading_of(store, example_run(store))
    path = store.directory(run_id) / "run.json"
    path.write_text(path.read_text().replace('"queued"', '"imported"'))
    with pytest.raises(RunError, match="was imported: its log is here, but no model"):
        reading_of(store, run_id)


# Where they come from


def test_the_own_split_is_what_the_run_set_aside(store: RunStore, run_id: str) -> None:
    split = own_split(store, run_id, reading_of(store, run_id))
    lines = (store.directory(run_id) / "data" / "validation.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert split.texts == [json.loads(line)["text"] for line in lines] and len(split.texts) == 46
    assert (split.name, split.kind, split.block_size, split.dropped) == ("held-out", "own", 128, {})


def test_a_run_that_set_nothing_aside_is_told(store: RunStore, run_id: str, reading: Reading) -> None:
    path = store.directory(run_id) / "data" / "validation.jsonl"
    path.write_text("")
    with pytest.raises(RunError, match=r"has no held-out lines of its own: none were set aside\. Name a file"):
        own_split(store, run_id, reading)
    for content in ("{", '"text"\n', "{}\n"):
        path.write_text(content)
        with pytest.raises(RunError, match=r"The held-out lines of run .* cannot be read"):
            own_split(store, run_id, reading)
    path.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        own_split(store, run_id, reading)


def test_lines_that_cannot_be_scored_are_left_out_and_counted(tmp_path: Path, reading: Reading) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("two words\n\none\n  \n three little words \nübung\n", encoding="utf-8")
    split = file_split(path, reading)
    assert split.texts == ["two words", "three little words"]
    assert split.dropped == {"empty": 2, "too_short": 2}
    assert (split.name, split.kind, split.source, split.stride) == ("lines", "file", "lines.txt", None)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_any_kind_of_file_and_any_column(tmp_path: Path, reading: Reading, suffix: str) -> None:
    import pandas as pd

    frame = pd.DataFrame({"body": ["bir iki", None, "üç dört"], "id": [1, 2, 3]})
    path = tmp_path / f"a{suffix}"
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    split = file_split(path, reading, "my text", column="body")
    assert (split.name, list(split.texts), split.dropped) == ("my text", ["bir iki", "üç dört"], {"empty": 1})


def test_windows_are_noted(tmp_path: Path, reading: Reading) -> None:
    (tmp_path / "a.txt").write_text("bir iki\n")
    windowed = Reading(reading.tokenizer, 16, "window", 8)
    split = file_split(tmp_path / "a.txt", windowed)
    assert (split.long_texts, split.block_size, split.stride) == ("window", 16, 8)


def test_a_file_without_anything_to_predict_is_told(tmp_path: Path, reading: Reading) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\nword\n")
    with pytest.raises(TextError, match=r"None of the 2 lines of a\.txt has two tokens or more"):
        file_split(path, reading)
    path.write_text("\n\n")
    with pytest.raises(TextError, match="only empty lines"):
        file_split(path, reading)
    with pytest.raises(TextError, match="There is no file"):
        file_split(tmp_path / "b.txt", reading)


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\0b"])
def test_a_name_that_nobody_could_read_is_refused(tmp_path: Path, reading: Reading, name: str) -> None:
    (tmp_path / "a.txt").write_text("bir iki\n")
    with pytest.raises(TextError, match="cannot be the name of a text"):
        file_split(tmp_path / "a.txt", reading, name)


def test_the_whole_of_wikitext(shared_data: Path, store: RunStore, run_id: str) -> None:
    path = shared_data / "wikitext-2" / "valid.txt"
    split = file_split(path, reading_of(store, run_id))
    assert split.texts == read_texts(path) and len(split.texts) == 2461
    assert split.dropped == {"empty": 1299}


# The Hub


@pytest.mark.parametrize(
    ("words", "dataset"),
    [
        ("wikitext-2", WIKITEXT_2),
        ("WikiText-2", WIKITEXT_2),
        ("a/b", HubDataset("a/b")),
        ("a/b/c", HubDataset("a/b", "c")),
        ("a/b@test", HubDataset("a/b", split="test")),
        ("a-1/b.2/c_3@train", HubDataset("a-1/b.2", "c_3", "train")),
    ],
)
def test_names_of_datasets(words: str, dataset: HubDataset) -> None:
    assert hub_dataset(words) == dataset


@pytest.mark.parametrize(
    "words", ["", "wikitext", "a", "a/", "/b", "a/b/", "a/b@", "../x y", "/tmp/x", "a b/c", "https://x"]
)
def test_what_names_no_dataset(words: str) -> None:
    with pytest.raises(TextError, match=r"does not name a dataset\. Known by name: wikitext-2"):
        hub_dataset(words)


def test_lines_of_a_dataset(monkeypatch: pytest.MonkeyPatch, reading: Reading) -> None:
    asked: list[tuple[HubDataset, int | None]] = []

    def read(dataset: HubDataset, limit: int | None) -> HubTexts:
        asked.append((dataset, limit))
        return HubTexts(["bir iki", "üç", "dört beş"], empty=4)

    monkeypatch.setattr(splits, "read_hub", read)
    split = hub_split(WIKITEXT_2, reading, "wiki", limit=3)
    assert asked == [(WIKITEXT_2, 3)]
    assert split.source == "Salesforce/wikitext, wikitext-2-raw-v1, validation: first 3 non-empty lines"
    assert (split.kind, split.texts, split.dropped) == ("hub", ["bir iki", "dört beş"], {"empty": 4, "too_short": 1})
    assert hub_split(WIKITEXT_2, reading, "wiki").source.endswith("validation: all non-empty lines")
    with pytest.raises(TextError, match="at least one line"):
        hub_split(WIKITEXT_2, reading, "wiki", limit=0)
    monkeypatch.setattr(splits, "read_hub", lambda *_: HubTexts([], empty=4))
    with pytest.raises(TextError, match="has no text in its column 'text'"):
        hub_split(WIKITEXT_2, reading, "wiki")


# Labels


def words_and_more(reading: Reading) -> Reading:
    """The tokenizer, with a token before each text: a line of one word can be scored."""
    from tokenizers import processors

    tokenizer = tokenizers.Tokenizer.from_str(reading.tokenizer.to_str())
    tokenizer.post_processor = processors.TemplateProcessing(single="[UNK] $A", special_tokens=[("[UNK]", 0)])
    return Reading(tokenizer, reading.block_size)


def test_labelled_texts(tmp_path: Path, reading: Reading) -> None:
    path = labelled(tmp_path / "tone.jsonl")
    split = labelled_split(path, words_and_more(reading))
    assert list(split.texts) == [text for text, _ in LABELLED]
    assert list(split.labels_of_texts or ()) == [label for _, label in LABELLED]
    assert (split.name, split.kind, split.labels, split.template) == (
        "tone",
        "labelled",
        ("neg", "pos"),
        DEFAULT_TEMPLATE,
    )
    other = labelled_split(
        path, words_and_more(reading), labels=["pos", "neg", " neutral "], template="{text}: {label}"
    )
    assert (other.labels, other.template) == (("pos", "neg", "neutral"), "{text}: {label}")


def test_rows_without_a_text_or_a_label_are_counted(tmp_path: Path, reading: Reading) -> None:
    rows = [("a b", "x"), ("", "x"), ("c d", None), ("e f", " "), ("one", "y"), ("g h", "y"), (None, None)]
    split = labelled_split(labelled(tmp_path / "a.jsonl", rows), reading)
    assert list(split.texts) == ["a b", "g h"]
    assert split.dropped == {"empty": 2, "no_label": 2, "too_short": 1}


@pytest.mark.parametrize(
    ("options", "why", "field"),
    [
        ({"template": "{text}"}, "{label}, where the label goes, is missing", "template"),
        ({"labels": ["pos"]}, "labels that are not among the given ones ('pos'): 'neg'. Add them", "labels"),
        ({"labels": ["pos", "neg", "pos"]}, "The label 'pos' is given twice", "labels"),
        ({"labels": ["pos", "neg", " "]}, "A label is empty", "labels"),
        ({"label_column": "class"}, "No row of a.jsonl has a label in the column 'class'", "data.column"),
        ({"text_column": "body"}, "has no column 'body'", "data.column"),
        ({"name": " "}, "cannot be the name of a text", "name"),
    ],
)
def test_bad_templates_and_labels_are_told(
    tmp_path: Path, reading: Reading, options: dict[str, object], why: str, field: str
) -> None:
    path = labelled(tmp_path / "a.jsonl")
    with pytest.raises(BceError) as caught:
        labelled_split(path, words_and_more(reading), **options)  # type: ignore[arg-type]
    assert why in str(caught.value) and caught.value.field == field


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("a b", "x"), ("c d", "x")], "a.jsonl has only one label, 'x': there is nothing to choose between"),
        ([("a b", ""), ("", "x")], "No row of a.jsonl has both a text and a label"),
        ([(f"a {n}", f"text number {n}") for n in range(101)], "has 101 labels, such as 'text number 0', "),
    ],
)
def test_labels_that_make_no_choice_are_told(
    tmp_path: Path, reading: Reading, rows: list[tuple[str, str]], why: str
) -> None:
    with pytest.raises(TextError) as caught:
        labelled_split(labelled(tmp_path / "a.jsonl", rows), reading)
    assert why in str(caught.value)


def test_labels_and_windows_do_not_go_together(tmp_path: Path, reading: Reading) -> None:
    windowed = Reading(reading.tokenizer, 16, "window", 8)
    with pytest.raises(TextError, match="has to fit into one window"):
        labelled_split(labelled(tmp_path / "a.jsonl"), windowed)
    (tmp_path / "a.txt").write_text("bir iki\n")
    with pytest.raises(TextError, match=r"holds texts only\. Labels take a file with columns"):
        labelled_split(tmp_path / "a.txt", reading)
