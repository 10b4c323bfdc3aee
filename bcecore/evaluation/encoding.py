"""Texts as the tokens that an evaluation scores, with the place of each in the text. No torch.

The tokens are those that training would see (`text.tokenizing.encode`); a test says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers

from bcecore.text.tokenizing import MIN_TOKENS


@dataclass(frozen=True)
class EncodedText:
    """The tokens of one text, special ones included; at least two."""

    ids: list[int]
    spans: list[tuple[int, int]]
    """Where each token begins and ends in the text, in characters; (0, 0) for special tokens."""
    length: int
    """Tokens of the whole text, of which `ids` are fewer if it was cut."""
    scored_bytes: int
    """UTF-8 bytes of the part of the text that is predicted."""

    @property
    def is_cut(self) -> bool:
        """Whether the end of the text was left out."""
        return len(self.ids) < self.length


def encode_texts(
    tokenizer: tokenizers.Tokenizer, texts: Sequence[str], block_size: int | None
) -> list[EncodedText | None]:
    """Cut `texts` into tokens, at most `block_size` each (the closing special token is kept); None: all of them.

    A text of fewer than two tokens gives None: there is nothing to predict.
    """
    whole = tokenizer.encode_batch(list(texts))
    lengths = [len(encoding.ids) for encoding in whole]
    if block_size is not None:
        long = [number for number, length in enumerate(lengths) if length > block_size]
        tokenizer.enable_truncation(block_size)
        try:
            shortened = tokenizer.encode_batch([texts[number] for number in long])
        finally:
            tokenizer.no_truncation()
        for number, encoding in zip(long, shortened, strict=True):
            whole[number] = encoding
    return [
        _encoded(text, encoding, length) if len(encoding.ids) >= MIN_TOKENS else None
        for text, encoding, length in zip(texts, whole, lengths, strict=True)
    ]


def _encoded(text: str, encoding: tokenizers.Encoding, length: int) -> EncodedText:
    ids, spans = encoding.ids, encoding.offsets
    # The first token is only read: if it is a word of the text, and no special token, that word is not predicted.
    begin = spans[0][1]
    end = len(text) if len(ids) == length else max(end for _, end in spans)
    return EncodedText(ids, spans, length, len(text[begin:end].encode()))
