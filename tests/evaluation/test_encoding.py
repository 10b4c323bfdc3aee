"""Texts as tokens: the same as in training, and where they are in the text."""

from __future__ import annotations

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from bcecore.evaluation.encoding import encode_texts
from bcecore.text.tokenizing import encode, train_wordpiece

LINES = ["The door is open.", "Kapı açık; güneş doğar.", "No", "A baker sells five loaves before noon 🍞 today."]


@pytest.fixture(scope="module")
def wordpiece() -> tokenizers.Tokenizer:
    return train_wordpiece(LINES, 120)


@pytest.fixture(scope="module")
def letters() -> tokenizers.Tokenizer:
    """One token a letter, and no special ones."""
    tokenizer = tokenizers.Tokenizer(models.BPE({chr(n): n - 32 for n in range(32, 127)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.BPEDecoder()
    return tokenizer


@pytest.mark.parametrize("block_size", [4, 7, 200])
def test_the_tokens_are_those_of_training(wordpiece: tokenizers.Tokenizer, block_size: int) -> None:
    found = encode_texts(wordpiece, LINES, block_size)
    expected = encode(wordpiece, LINES, block_size)
    assert [text.ids for text in found if text is not None] == expected.ids
    assert sum(text.is_cut for text in found if text is not None) == expected.cut


def test_spans_count_characters_of_the_text(wordpiece: tokenizers.Tokenizer) -> None:
    for line, text in zip(LINES, encode_texts(wordpiece, LINES, None), strict=True):
        assert text is not None and text.spans[0] == text.spans[-1] == (0, 0)
        shown = [line[start:end] for start, end in text.spans[1:-1]]
        assert "".join(shown) == line.replace(" ", "")


def test_the_scored_bytes_are_those_of_what_is_predicted(
    wordpiece: tokenizers.Tokenizer, letters: tokenizers.Tokenizer
) -> None:
    text = "ağ ağ ağ"
    (whole,) = encode_texts(wordpiece, [text], None)
    assert whole is not None and whole.scored_bytes == len(text.encode()) == 11
    # [CLS] a ğ [SEP] and no more: three characters' worth is left out.
    (short,) = encode_texts(wordpiece, [text], len(whole.ids) - 2)
    assert short is not None and short.is_cut and short.scored_bytes < 11 and short.length == len(whole.ids)
    last = max(end for _, end in short.spans)
    assert short.scored_bytes == len(text[:last].encode())
    # Without a special token at the beginning, the first word of the text is only read.
    (plain,) = encode_texts(letters, ["abc"], None)
    assert plain is not None and plain.ids == [ord(c) - 32 for c in "abc"] and plain.scored_bytes == 2


def test_fewer_than_two_tokens_are_nothing(letters: tokenizers.Tokenizer) -> None:
    assert [text is None for text in encode_texts(letters, ["", "a", "ab"], 8)] == [True, True, False]
