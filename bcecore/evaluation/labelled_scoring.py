"""How likely a model finds each label after a text: the prompts of a labelled set, and what their scores say.

A template such as "{text}\\nSentiment: {label}" is filled once for every label; the log-likelihood of the label's own
tokens, given all before them, is its score. Nothing is trained, so any language model can be asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers

from bcecore.errors import TextError
from bcecore.evaluation.forward import Piece, PieceScore
from bcecore.evaluation.template import LABEL, TEXT, check_template


@dataclass(frozen=True)
class Prompt:
    """A text in the template with each of the labels."""

    pieces: list[Piece]
    is_cut: bool
    """Whether the end of the text had to be left out to make room for the template and the longest label."""


class LabelScorer:
    """Fills one template with texts and labels, at most `block_size` tokens each.

    Raises TextError for a template that is none (`check_template`).
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, template: str, labels: Sequence[str], block_size: int) -> None:
        check_template(template)
        self._before, rest = template.split(TEXT)
        self._between, self._after = rest.split(LABEL)
        self._tokenizer = tokenizer
        self._template = template
        self._labels = list(labels)
        self._block_size = block_size

    def prompts(self, text: str) -> Prompt:
        """The pieces to score for one text, in the order of the labels.

        A text that is too long loses its last tokens, the same for every label. Raises TextError where the template
        leaves it no room at all, or a label has no token of its own.
        """
        shown = text
        while True:
            filled = [self._before + shown + self._between + label + self._after for label in self._labels]
            encodings = self._tokenizer.encode_batch(filled)
            longest = max(encodings, key=lambda encoding: len(encoding.ids))
            if len(longest.ids) <= self._block_size:
                break
            shown = self._shortened(shown, longest)
        begin = len(self._before) + len(shown) + len(self._between)
        pieces = [self._piece(encoding, begin, label) for encoding, label in zip(encodings, self._labels, strict=True)]
        return Prompt(pieces, len(shown) < len(text))

    def columns(self, prompt: Prompt, scores: Sequence[PieceScore]) -> dict[str, Any]:
        """What the row of a labelled text has besides that of any other; `scores` in the order of the labels."""
        sums = [-float(score.nll.sum(dtype=np.float64)) for score in scores]
        best = None if any(map(math.isnan, sums)) else self._labels[int(np.argmax(sums))]
        return {
            "label_scores": sums,
            # A label of several tokens is less likely for that alone; a mean a token does not hold it against it.
            "label_means": [value / len(score.nll) for value, score in zip(sums, scores, strict=True)],
            "predicted": best,
        }

    def _shortened(self, text: str, encoding: tokenizers.Encoding) -> str:
        """`text` without as many of its last tokens as are too many in `encoding`."""
        begin, end = len(self._before), len(self._before) + len(text)
        starts = [start for start, stop in encoding.offsets if begin <= start < stop <= end]
        excess = len(encoding.ids) - self._block_size
        if len(starts) <= excess:
            raise TextError(
                f"The template and its labels leave no room for the text: {self._block_size} tokens are read at once. "
                "Shorten the template or the labels, or raise the block size."
            )
        return text[: starts[-excess] - begin].rstrip()

    def _piece(self, encoding: tokenizers.Encoding, begin: int, label: str) -> Piece:
        end = begin + len(label)
        # The first token is only read. One that holds the end of the prompt together with the label's beginning counts.
        positions = [
            position
            for position, (start, stop) in enumerate(encoding.offsets)
            if position > 0 and start < end and stop > begin
        ]
        if not positions:
            raise TextError(
                f"The label {label!r} has no token that could be predicted in the template {self._template!r}. "
                f"Name it otherwise, or put something before {LABEL}."
            )
        return Piece(encoding.ids, positions[0], positions[-1] + 1)
