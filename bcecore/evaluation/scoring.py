"""Scoring one page of texts with one checkpoint: from rows of a split's file to rows of `examples.parquet`.

Whatever the BCE weight, the model predicts the same: one pass gives the CE and R of an example, from which the
objective follows for any weight, on or off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers

from bcecore.evaluation.encoding import EncodedText, encode_texts
from bcecore.evaluation.forward import Forward, Piece, PieceScore
from bcecore.evaluation.labelled_scoring import LabelScorer
from bcecore.evaluation.pages import Row
from bcecore.evaluation.windows import windows
from bcecore.store.evaluations import SplitSpec
from bcecore.training.regularizer import COMPONENTS


@dataclass(frozen=True)
class ScoredPage:
    """What a page came to."""

    rows: list[dict[str, Any]]
    """One row of `examples_schema` for each text that can be scored, in the file's order."""
    steps: int
    """Forward passes."""


def score_page(
    forward: Forward,
    tokenizer: tokenizers.Tokenizer,
    split: SplitSpec,
    step: int,
    page: Sequence[Row],
    batch_tokens: int,
    after_batch: Callable[[float], None] = lambda _: None,
) -> ScoredPage:
    """Score the texts of a page with the checkpoint of `step` that `forward` holds.

    `after_batch` is told which share of the page is done; what it raises ends the scoring. A text of fewer than two
    tokens is left out. The R of a text in several windows is their mean, weighted by the tokens scored in each.
    """
    texts = encode_texts(tokenizer, [row.text for row in page], split.block_size if split.stride is None else None)
    kept = [(row, text) for row, text in zip(page, texts, strict=True) if text is not None]
    groups = [_pieces(text, split) for _, text in kept]
    labels = None
    if split.template is not None and split.labels is not None:
        labels = LabelScorer(tokenizer, split.template, split.labels, split.block_size)
        prompts = [labels.prompts(row.text) for row, _ in kept]
        groups += [prompt.pieces for prompt in prompts]
    pieces = [piece for group in groups for piece in group]
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        after_batch(done / len(pieces))

    scores, steps = forward.score(pieces, batch_tokens, count)
    found = iter(scores)
    scored = [[next(found) for _ in group] for group in groups]
    rows = [
        {"checkpoint": step, "split": split.name, **_row(row, text, windows_of)}
        for (row, text), windows_of in zip(kept, scored, strict=False)
    ]
    if labels is not None:
        for row, prompt, label_scores in zip(rows, prompts, scored[len(kept) :], strict=True):
            row |= labels.columns(prompt, label_scores) | {"cut": row["cut"] or prompt.is_cut}
    return ScoredPage(rows, steps)


def _pieces(text: EncodedText, split: SplitSpec) -> list[Piece]:
    return [
        Piece(text.ids[window.begin : window.end], window.first - window.begin, window.end - window.begin)
        for window in windows(len(text.ids), split.block_size, split.stride)
    ]


def _row(row: Row, text: EncodedText, scores: Sequence[PieceScore]) -> dict[str, Any]:
    token_nll = np.concatenate([score.nll for score in scores])
    nll = float(token_nll.sum(dtype=np.float64))
    shares = [len(score.nll) / len(token_nll) for score in scores]
    components = sum(share * score.components.astype(np.float64) for share, score in zip(shares, scores, strict=True))
    starts, ends = zip(*text.spans[1:], strict=True)
    return {
        "example": row.example,
        "text": row.text,
        "label": row.label,
        "tokens": len(token_nll),
        "length": text.length,
        "bytes": text.scored_bytes,
        "windows": len(scores),
        "cut": text.is_cut,
        "ce": nll / len(token_nll),
        "nll": nll,
        "bce_loss": sum(share * score.bce_loss for share, score in zip(shares, scores, strict=True)),
        **{f"bce_{name}": float(value) for name, value in zip(COMPONENTS, np.asarray(components), strict=True)},
        "token_ids": text.ids[1:],
        "token_nll": token_nll,
        "token_starts": starts,
        "token_ends": ends,
    }
