"""Tokens: the same vocabulary everywhere, cut as Hugging Face cuts, and shown as the model sees them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.errors import DiskFullError, ModelError
from bcecore.settings import with_values
from bcecore.text.reading import SAMPLE_TRAIN_FILE, SAMPLE_VALIDATION_FILE, read_texts
from bcecore.text.tokenizing import (
    SPECIAL_TOKENS,
    PreviewToken,
    encode,
    load_tokenizer,
    preview,
    tokenizer_source,
    train_wordpiece,
    write_tokenizer,
)

ROOT = Path(__file__).parent.parent.parent
SAMPLE = read_texts(SAMPLE_TRAIN_FILE)
ODD = [
    "",
    " ",
    "[CLS] not the start [SEP] nor the end [MASK] [PAD] [UNK]",
    "İSTANBUL ışık Işık ŞİŞE",
    "e\u0301 \u200b \u00ad \t tab",
    "日本語 と 한국어",
    "🎉 … « » — ’",
    "antidisestablishmentarianism" * 12,
    "a\nb\r\nc",
]


@cache
def sample_tokenizer() -> tokenizers.Tokenizer:
    return train_wordpiece(SAMPLE, 2048)


def settings(**changes: Any) -> RunConfig:
    return with_values(RunConfig(), {key.replace("__", "."): value for key, value in changes.items()})


# Learning a vocabulary


def test_the_vocabulary_starts_with_the_special_tokens_and_keeps_its_size() -> None:
    tokenizer = sample_tokenizer()
    assert [tokenizer.id_to_token(number) for number in range(5)] == SPECIAL_TOKENS
    assert tokenizer.get_vocab_size() == 2048
    assert train_wordpiece(["a tiny text"], 4096).get_vocab_size() < 100


def test_letters_keep_their_case_and_accents() -> None:
    tokenizer = sample_tokenizer()
    texts = ["ışık", "isik", "Işık", "şişe", "sise", "İSTANBUL"]
    assert len({tuple(ids) for ids in encode(tokenizer, texts, 64).ids}) == len(texts)
    assert tokenizer.decode(tokenizer.encode("Çok güzel bir gün").ids) == "Çok güzel bir gün"


def test_every_process_learns_the_same_vocabulary(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bcecore.text.reading import *\n"
        "from bcecore.text.tokenizing import write_tokenizer; from bcecore.config import RunConfig\n"
        "write_tokenizer(RunConfig(), read_texts(SAMPLE_TRAIN_FILE), Path(sys.argv[1]))"
    )
    started = []
    for number, (seed, threads) in enumerate([("0", "1"), ("1", "4"), ("4242", "2")]):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        environment["TOKENIZERS_PARALLELISM"] = "false" if threads == "1" else "true"
        command = [sys.executable, "-c", program, str(tmp_path / str(number))]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    assert [process.wait(60) for process in started] == [0, 0, 0]
    contents = {
        hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()
        for folder in tmp_path.iterdir()
    }
    assert len(contents) == 1


def test_the_order_of_the_lines_makes_no_difference_to_the_vocabulary() -> None:
    backwards = train_wordpiece(list(reversed(SAMPLE)), 2048)
    assert backwards.to_str() == sample_tokenizer().to_str()


# Against Hugging Face


def hugging_face(directory: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(str(directory))


def assert_equal_to_hugging_face(tokenizer: tokenizers.Tokenizer, directory: Path) -> None:
    texts = [*SAMPLE, *read_texts(SAMPLE_VALIDATION_FILE), *ODD]
    reference = hugging_face(directory)
    assert len(reference) == tokenizer.get_vocab_size()
    for block_size in (2, 3, 17, 64, 512):
        expected = reference(texts, truncation=True, max_length=block_size)["input_ids"]
        assert encode(tokenizer, texts, block_size).ids == expected


def test_a_learnt_tokenizer_cuts_as_hugging_face_does(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(settings(model__vocab_size=1000), SAMPLE, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    assert_equal_to_hugging_face(tokenizer, tmp_path)
    assert_equal_to_hugging_face(load_tokenizer(tmp_path), tmp_path)
    reference = hugging_face(tmp_path)
    assert (reference.pad_token_id, reference.unk_token_id, reference.mask_token_id) == (0, 1, 4)
    assert (reference.cls_token_id, reference.sep_token_id) == (2, 3)


@pytest.mark.parametrize("without", [(), ("tokenizer.json",), ("tokenizer.json", "tokenizer_config.json")])
def test_the_reports_tokenizer_cuts_as_hugging_face_does(
    tmp_path: Path, shared_data: Path, without: tuple[str, ...]
) -> None:
    source = tmp_path / "source"
    shutil.copytree(shared_data / "tokenizer", source)
    for name in without:
        (source / name).unlink()
    run = tmp_path / "run"
    tokenizer = write_tokenizer(settings(model__tokenizer=str(source)), SAMPLE, run)
    assert not {path.name for path in run.iterdir()} & {"config.json", *without}
    if "tokenizer_config.json" in without:  # AutoTokenizer then asks the model's own configuration
        shutil.copy(source / "config.json", run)
    assert_equal_to_hugging_face(tokenizer, run)
    assert tokenizer.get_vocab_size() == 30522


def test_a_byte_level_tokenizer_cuts_as_hugging_face_does(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    loaded = load_tokenizer(tmp_path)
    texts = [text for text in [*SAMPLE[:100], *ODD] if len(text) > 1]
    expected = hugging_face(tmp_path)(texts, truncation=True, max_length=20)["input_ids"]
    assert encode(loaded, texts, 20).ids == [ids for ids in expected if len(ids) >= 2]


def byte_level() -> tokenizers.Tokenizer:
    """A tokenizer of GPT-2's kind: it adds no tokens of its own."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    return tokenizer


# Encoding


@given(st.lists(st.text(), max_size=10), st.integers(2, 40))
def test_examples_have_two_tokens_at_least_and_the_block_size_at_most(texts: list[str], block_size: int) -> None:
    tokenizer = sample_tokenizer()
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    encoded = encode(tokenizer, texts, block_size)
    whole = [tokenizer.encode(text).ids for text in texts]
    assert len(encoded.ids) + encoded.too_short == len(texts)
    assert encoded.cut == sum(len(ids) > block_size for ids in whole)
    assert encoded.tokens == sum(min(len(ids), block_size) for ids in whole)
    assert encoded.tokens + encoded.cut_off == sum(map(len, whole))
    assert encoded.longest == max(map(len, whole), default=0)
    for ids, complete in zip(encoded.ids, whole, strict=True):
        assert 2 <= len(ids) <= block_size
        assert (ids[0], ids[-1]) == (cls, sep)
        assert ids[:-1] == complete[: len(ids) - 1]


def test_texts_of_fewer_than_two_tokens_are_left_out_and_counted() -> None:
    tokenizer = byte_level()
    encoded = encode(tokenizer, ["a", "", "two words", "b"], 64)
    assert len(encoded.ids) == 1
    assert (encoded.too_short, encoded.cut) == (3, 0)
    assert encode(tokenizer, [], 64).ids == []


def test_encoding_leaves_the_tokenizer_as_it_was() -> None:
    tokenizer = sample_tokenizer()
    before = tokenizer.to_str()
    encode(tokenizer, SAMPLE, 8)
    preview(tokenizer, SAMPLE[0], 8)
    assert tokenizer.to_str() == before
    assert tokenizer.truncation is None


def test_a_saved_tokenizer_neither_cuts_nor_pads_by_itself(tmp_path: Path) -> None:
    tokenizer = train_wordpiece(SAMPLE, 500)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=600)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path)
    assert (loaded.truncation, loaded.padding) == (None, None)
    assert 4 < len(encode(loaded, SAMPLE, 512).ids[0]) < 512


# The preview


def test_the_preview_shows_what_is_read_and_what_is_scored() -> None:
    tokenizer = train_wordpiece(["kedi süt içti"] * 3, 200)
    tokens, cut_off = preview(tokenizer, "kedi  süt içti", 8)
    assert tokens == [
        PreviewToken("[CLS]", special=True, scored=False),
        PreviewToken("kedi", special=False, scored=True),
        PreviewToken("süt", special=False, scored=True),
        PreviewToken("içti", special=False, scored=True),
        PreviewToken("[SEP]", special=True, scored=True),
    ]
    assert cut_off == 0
    tokens, cut_off = preview(tokenizer, "kedi süt içti", 4)
    assert [token.text for token in tokens] == ["[CLS]", "kedi", "süt", "[SEP]"]
    assert cut_off == 1


def test_the_preview_shows_letters_that_the_model_does_not_know_as_they_stand() -> None:
    tokens, _ = preview(train_wordpiece(["kedi"], 200), "kedi 日 kedi", 16)
    assert [token.text for token in tokens] == ["[CLS]", "kedi", "日", "kedi", "[SEP]"]


@given(st.text(), st.integers(2, 40))
def test_the_preview_has_the_tokens_that_training_has(text: str, block_size: int) -> None:
    tokenizer = sample_tokenizer()
    tokens, cut_off = preview(tokenizer, text, block_size)
    ids = encode(tokenizer, [text], block_size).ids[0]
    assert len(tokens) == len(ids)
    assert cut_off == len(tokenizer.encode(text).ids) - len(ids)
    assert [token.scored for token in tokens] == [False] + [True] * (len(ids) - 1)
    assert [token.special for token in tokens][:1] == [True]


# Where a tokenizer comes from


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, None),
        ({"model__tokenizer": "./folder"}, "./folder"),
        ({"model__source": "owner/model"}, "owner/model"),
        ({"model__source": "owner/model", "model__tokenizer": "owner/other"}, "owner/other"),
    ],
)
def test_the_source_of_the_tokenizer(changes: dict[str, str], source: str | None) -> None:
    assert tokenizer_source(settings(**changes)) == source


def test_only_files_of_the_tokenizer_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_tokenizer(RunConfig(), SAMPLE, source)
    for name in ("pytorch_model.bin", "tokenizer.py", "config.json", "training_args.bin"):
        (source / name).write_text("harmful")
    write_tokenizer(settings(model__tokenizer=str(source)), [], tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"tokenizer.json", "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "has no tokenizer.json and no vocab.txt"),
        ({"tokenizer.json": "{"}, "cannot be read"),
        ({"tokenizer.json": "[]"}, "cannot be read"),
        ({"vocab.txt": "[UNK]\na\n", "tokenizer_config.json": "{"}, "cannot be read"),
        ({"vocab.txt": "[UNK]\na\n", "tokenizer_config.json": "[]"}, "cannot be read"),
    ],
)
def test_a_folder_without_a_usable_tokenizer(tmp_path: Path, files: dict[str, str], words: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        write_tokenizer(settings(model__tokenizer=str(source)), SAMPLE, tmp_path / "run")
    assert caught.value.field == "model.tokenizer"
    assert str(source) in str(caught.value)


def test_a_vocabulary_without_bert_s_own_tokens_wraps_nothing(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\nkedi\nsüt\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert encode(load_tokenizer(tmp_path), ["kedi süt", "Kedi süt", "süt"], 9).ids == [[1, 2], [0, 2]]


def test_a_folder_that_is_not_there_belongs_to_its_setting(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for key in ("model__source", "model__tokenizer"):
        with pytest.raises(ModelError, match="There is no folder") as caught:
            write_tokenizer(settings(**{key: missing}), SAMPLE, tmp_path / "run")
        assert caught.value.field == key.replace("__", ".")


@pytest.mark.parametrize("copied", [False, True], ids=["learnt", "copied"])
def test_a_full_disk_is_said_to_be_full(tmp_path: Path, tiny_disk: Callable[[int], Path], copied: bool) -> None:
    config = RunConfig()
    if copied:
        write_tokenizer(config, SAMPLE, tmp_path / "source")
        config = settings(model__tokenizer=str(tmp_path / "source"))
    with pytest.raises(DiskFullError, match="The disk is full"):
        write_tokenizer(config, SAMPLE, tiny_disk(32) / "tokenizer")
