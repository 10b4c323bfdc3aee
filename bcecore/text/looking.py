"""What is in a text file: counts, lengths in tokens, copies, scripts, and what the quality filter would leave out.

All of it is data that can be kept as JSON, so that a process of its own may find it out. No torch.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from pydantic import BaseModel, ConfigDict

from bcecore.config import DataConfig, ModelConfig
from bcecore.text import quality
from bcecore.text.duplicates import find_duplicates
from bcecore.text.near import chunks
from bcecore.text.overlap import find_overlap
from bcecore.text.reading import read_rows
from bcecore.text.scripts import by_script
from bcecore.text.tokenizing import MIN_TOKENS, load_tokenizer, train_wordpiece

PREVIEWED, EXAMPLES, SHOWN_PAIRS = 8, 5, 200
SHOWN_CHARACTERS = 400
_BINS = 24
_PIECE = 1000

Progress = Callable[[float], None]
"""Called now and then with the share that is done, from 0 to 1. What it raises ends the work."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Line(_Shown):
    """A line as people look at it."""

    number: int
    """Its row in the file, from 1, empty rows counted."""
    text: str
    """At most 400 characters of it."""


class LeftOut(_Shown):
    """Lines that the quality filter would leave out for one reason."""

    reason: str
    lines: int
    examples: list[Line]


class Twice(_Shown):
    """A line that repeats an earlier one, or two lines of two files that are the same."""

    line: Line
    other: Line
    jaccard: float
    exact: bool


class Look(_Shown):
    """What is in a file."""

    rows: int
    """Rows, empty ones too."""
    lines: int
    """Rows with text: what everything below is about."""
    characters: int
    words: int
    """Stretches between white space."""
    preview: list[Line]
    tokens: int
    vocabulary: int
    """How many tokens the tokenizer knows."""
    learnt: bool
    """Whether its vocabulary was learnt from this text."""
    unknown: int
    """Tokens that stand for something the tokenizer does not know."""
    lengths: list[tuple[int, int, int]]
    """The histogram of lengths in tokens: from, to (both included), lines."""
    median_tokens: float
    longest_tokens: int
    block_size: int
    cut: int
    """Lines with more tokens than the block size."""
    cut_tokens: int
    """Tokens that are cut off."""
    cut_examples: list[Line]
    too_short: int
    """Lines of fewer than two tokens, in which there is nothing to predict."""
    scripts: dict[str, int]
    left_out: list[LeftOut]
    exact_copies: int
    near_copies: int
    copies: list[Twice]
    """The first of them."""
    most_frequent: tuple[Line, int] | None
    complete: bool
    """Whether all near copies were looked for; see `text.overlap.Overlap`."""


class Between(_Shown):
    """Which lines of a text to check on are in a text to learn from."""

    train_lines: int
    held_out_lines: int
    exact: int
    near: int
    pairs: list[Twice]
    """The first of them; `line` is of the text to check on."""
    complete: bool

    @property
    def clean(self) -> int:
        """Lines to check on that are not in the text to learn from."""
        return self.held_out_lines - self.exact - self.near


class Sifted(_Shown):
    """What the quality filter would leave out of a file."""

    lines: int
    left_out: list[LeftOut]


class TextFile:
    """The texts of a file with the rows that they are in. Raises TextError as `reading.read_texts`."""

    def __init__(self, path: Path, column: str) -> None:
        rows = read_rows(path, column)
        self.rows = len(rows)
        self.texts: list[str] = []
        self._numbers: list[int] = []
        for number, text in enumerate(rows, start=1):
            if text:
                self.texts.append(text)
                self._numbers.append(number)

    def line(self, place: int) -> Line:
        """The text at a place, from 0, as it is shown."""
        return Line(number=self._numbers[place], text=shortened(self.texts[place]))


def shortened(text: str) -> str:
    """The beginning of a text, where it is long."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def look(
    path: Path,
    data: DataConfig | None = None,
    *,
    tokenizer_folder: Path | None = None,
    vocab_size: int | None = None,
    progress: Progress | None = None,
) -> Look:
    """Look at a file with the column, block size and filter of `data`.

    Tokens are those of the tokenizer in `tokenizer_folder`, or of a vocabulary learnt from the text as a run with a
    model that is built here does. Raises TextError for a file that cannot be read, ModelError for a tokenizer.
    """
    data = data or DataConfig()
    file = TextFile(path, data.column)
    texts, told = file.texts, _Told(progress, len(file.texts))
    if tokenizer_folder is None:
        tokenizer = train_wordpiece(texts, vocab_size or ModelConfig().vocab_size)
    else:
        tokenizer = load_tokenizer(tokenizer_folder)
    told(0.2, 0)
    lengths, unknown = _token_lengths(tokenizer, texts, lambda lines: told(0.2, 0.4 * lines / len(texts)))
    characters: Counter[str] = Counter()
    for _, chunk in chunks(texts):
        characters.update("".join(chunk))
    told(0.65, 0)
    copies = find_duplicates(texts, lambda lines: told(0.65, 0.3 * lines / len(texts)))
    most = copies.most_frequent
    too_long = np.flatnonzero(lengths > data.block_size)
    return Look(
        rows=file.rows,
        lines=len(texts),
        characters=sum(map(len, texts)),
        words=sum(len(text.split()) for text in texts),
        preview=[file.line(place) for place in range(min(PREVIEWED, len(texts)))],
        tokens=int(lengths.sum()),
        vocabulary=tokenizer.get_vocab_size(),
        learnt=tokenizer_folder is None,
        unknown=unknown,
        lengths=histogram(lengths),
        median_tokens=float(np.median(lengths)),
        longest_tokens=int(lengths.max()),
        block_size=data.block_size,
        cut=len(too_long),
        cut_tokens=int((lengths[too_long] - data.block_size).sum()),
        cut_examples=[file.line(int(place)) for place in too_long[:EXAMPLES]],
        too_short=int((lengths < MIN_TOKENS).sum()),
        scripts=by_script(characters),
        left_out=_left_out(file, data),
        exact_copies=copies.exact,
        near_copies=copies.near,
        copies=[
            Twice(line=file.line(copy.again), other=file.line(copy.first), jaccard=copy.jaccard, exact=copy.exact)
            for copy in copies.copies[:SHOWN_PAIRS]
        ],
        most_frequent=None if most is None else (file.line(most[0]), most[1]),
        complete=copies.complete,
    )


def sift(path: Path, data: DataConfig) -> Sifted:
    """What the filter of `data` would leave out. Raises TextError."""
    file = TextFile(path, data.column)
    return Sifted(lines=len(file.texts), left_out=_left_out(file, data))


def compare(train: Path, held_out: Path, column: str = "text", progress: Progress | None = None) -> Between:
    """Which lines of `held_out` are in `train`, as they are or nearly. Raises TextError."""
    learnt, checked = TextFile(train, column), TextFile(held_out, column)
    told = _Told(progress, len(learnt.texts) + len(checked.texts))
    found = find_overlap(learnt.texts, checked.texts, lambda lines: told(0, 0.9 * lines / told.lines))
    exact = sum(pair.exact for pair in found.pairs)
    return Between(
        train_lines=len(learnt.texts),
        held_out_lines=found.documents,
        exact=exact,
        near=len(found.pairs) - exact,
        pairs=[
            Twice(
                line=checked.line(pair.held_out), other=learnt.line(pair.train), jaccard=pair.jaccard, exact=pair.exact
            )
            for pair in found.pairs[:SHOWN_PAIRS]
        ],
        complete=found.complete,
    )


class _Told:
    """Tells how far the work has come."""

    def __init__(self, progress: Progress | None, lines: int) -> None:
        self._progress = progress
        self.lines = max(lines, 1)

    def __call__(self, before: float, further: float) -> None:
        if self._progress is not None:
            self._progress(before + further)


def _token_lengths(
    tokenizer: tokenizers.Tokenizer, texts: Sequence[str], progress: Callable[[int], None]
) -> tuple[np.ndarray, int]:
    """How many tokens each text has, special ones included, and how many of all are unknown."""
    unknown_id = _unknown_id(tokenizer)
    lengths = np.zeros(len(texts), np.int64)
    unknown = 0
    for start, piece in chunks(texts, _PIECE):
        for place, encoding in enumerate(tokenizer.encode_batch_fast(piece), start):
            ids = encoding.ids
            lengths[place] = len(ids)
            if unknown_id is not None:
                unknown += ids.count(unknown_id)
        progress(start + len(piece))
    return lengths, unknown


def _unknown_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    """The token that stands for what the tokenizer does not know; None where it knows everything."""
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    word = model.get("unk_token")
    return None if word is None else tokenizer.token_to_id(word)


def histogram(lengths: np.ndarray) -> list[tuple[int, int, int]]:
    """Lengths in equal steps of a round width, from 1 on, at most 24: (from, to, how many), both ends included.

    Where a few texts are very long, the last step takes all of the longest hundredth.
    """
    usual = int(np.quantile(lengths, 0.99))
    width = _round_width(usual / _BINS)
    bins = max(1, math.ceil(usual / width))
    counts = np.bincount(np.minimum((np.maximum(lengths, 1) - 1) // width, bins - 1), minlength=bins)
    edges = [(1 + place * width, (place + 1) * width, int(count)) for place, count in enumerate(counts)]
    first, _, count = edges[-1]
    edges[-1] = (first, max(int(lengths.max()), edges[-1][1]), count)
    return edges


def _round_width(at_least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …"""
    power = 1
    while True:
        for width in (power, 2 * power, 5 * power):
            if width >= at_least:
                return width
        power *= 10


def _left_out(file: TextFile, data: DataConfig) -> list[LeftOut]:
    counts: Counter[str] = Counter()
    examples: dict[str, list[Line]] = {}
    for place, text in enumerate(file.texts):
        reason = quality.fault(
            text,
            min_characters=data.min_characters,
            max_repeated_share=data.max_repeated_share,
            max_symbol_share=data.max_symbol_share,
        )
        if reason is not None:
            counts[reason] += 1
            if counts[reason] <= EXAMPLES:
                examples.setdefault(reason, []).append(file.line(place))
    return [LeftOut(reason=reason, lines=lines, examples=examples[reason]) for reason, lines in counts.most_common()]
