"""The texts that an evaluation is made on: read, checked, and what cannot be scored left out and counted. No torch.

What comes back is not on disk yet; `jobs.evaluations.submit` freezes it into the evaluation's folder.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from bcecore.config import RunConfig
from bcecore.errors import RunError, TextError
from bcecore.evaluation.hub import KNOWN, HubDataset, read_hub
from bcecore.evaluation.template import DEFAULT_TEMPLATE, check_template
from bcecore.store.evaluations import MAX_SPLIT_NAME_CHARACTERS, LongTexts, SplitKind, SplitTexts, refuse_imported
from bcecore.store.runs import RunStore
from bcecore.text.reading import read_labelled, read_rows
from bcecore.text.tokenizing import MIN_TOKENS, load_tokenizer

OWN = "held-out"
"""Name of the run's own held-out split, unless another one is given."""
EMPTY, TOO_SHORT, NO_LABEL = "empty", "too_short", "no_label"
"""Why rows are left out: no text; fewer than two tokens, so that nothing is predicted; no label."""
MAX_LABELS = 100
"""More make a text cost as many passes as there are labels, and are a sign of a wrong column."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_PIECE = 1000


@dataclass(frozen=True)
class Reading:
    """How the texts of a run are read: by which tokenizer, and what becomes of those that are too long."""

    tokenizer: tokenizers.Tokenizer
    block_size: int
    """Tokens that the model reads at once."""
    long_texts: LongTexts = "truncate"
    stride: int | None = None


def reading_of(store: RunStore, run_id: str, long_texts: LongTexts = "truncate", stride: int | None = None) -> Reading:
    """How an evaluation of this run reads texts: by its own tokenizer, in pieces as long as in training.

    With windows each begins `stride` tokens behind the one before, by default half a window. Raises RunError for an
    imported run, of which there is no model, and for a stride that makes no sense; ModelError for a damaged tokenizer.
    """
    refuse_imported(store.record(run_id))
    config = store.config(run_id)
    size = config.data.block_size
    if long_texts == "truncate":
        if stride is not None:
            raise RunError("A stride belongs to windows: choose windows for long texts, or no stride.", field="stride")
    else:
        stride = _checked_stride(size // 2 if stride is None else stride, config)
    tokenizer = load_tokenizer(store.directory(run_id) / "data" / "tokenizer", f"run {run_id}")
    return Reading(tokenizer, size, long_texts, stride)


def _checked_stride(stride: int, config: RunConfig) -> int:
    if not 1 <= stride < config.data.block_size:
        raise RunError(
            f"The stride has to lie between 1 and {config.data.block_size - 1:,} tokens, got {stride:,}: each window "
            f"has {config.data.block_size:,}, and the next one has to overlap with it.",
            field="stride",
        )
    return stride


# -- where texts come from


def own_split(store: RunStore, run_id: str, reading: Reading, name: str = OWN) -> SplitTexts:
    """The lines that were set aside when the run was made. Raises RunError where there are none."""
    path = store.directory(run_id) / "data" / "validation.jsonl"
    try:
        with path.open(encoding="utf-8") as file:
            texts = [str(json.loads(line)["text"]) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"The held-out lines of run {run_id} ({path}) cannot be read: {error}. Name a file.") from error
    if not texts:
        raise RunError(
            f"Run {run_id} has no held-out lines of its own: none were set aside. Name a file to evaluate on."
        )
    return split_of(name, "own", "the run's own held-out lines", texts, reading)


def file_split(path: Path, reading: Reading, name: str | None = None, *, column: str = "text") -> SplitTexts:
    """The texts of a .txt, .jsonl, .csv or .parquet file. Raises TextError as `text.reading.read_texts`."""
    texts = read_rows(path, column)
    return split_of(path.stem if name is None else name, "file", path.name, texts, reading)


def hub_split(dataset: HubDataset, reading: Reading, name: str, *, limit: int | None = None) -> SplitTexts:
    """The first `limit` non-empty texts of a dataset on the Hub (default: all). Raises TextError as `hub.read_hub`."""
    if limit is not None and limit < 1:
        raise TextError(f"It takes at least one line of {dataset}, not {limit:,}.", field="limit")
    found = read_hub(dataset, limit)
    if not found.texts:
        raise TextError(f"{dataset} has no text in its column '{dataset.column}'. Name another column or split.")
    lines = "all" if limit is None else f"first {len(found.texts):,}"
    return split_of(name, "hub", f"{dataset}: {lines} non-empty lines", found.texts, reading, {EMPTY: found.empty})


def hub_dataset(words: str) -> HubDataset:
    """The dataset that `wikitext-2` or `owner/name[/configuration][@split]` means. Raises TextError for other words."""
    known = KNOWN.get(words.lower())
    if known is not None:
        return known
    name, at, split = words.partition("@")
    owner, _, rest = name.partition("/")
    own, slash, config = rest.partition("/")
    if not _HUB_NAME.fullmatch(f"{owner}/{own}") or (slash and not config) or (at and not split):
        raise TextError(
            f"{words!r} does not name a dataset. Known by name: {', '.join(KNOWN)}. Others: owner/name, "
            "owner/name/configuration, and with @split behind (default: @validation)."
        )
    dataset = HubDataset(f"{owner}/{own}", config or None)
    return dataset if not at else HubDataset(dataset.path, dataset.config, split)


def labelled_split(
    path: Path,
    reading: Reading,
    name: str | None = None,
    *,
    template: str = DEFAULT_TEMPLATE,
    labels: Sequence[str] | None = None,
    text_column: str = "text",
    label_column: str = "label",
) -> SplitTexts:
    """Texts with labels, of a .csv, .jsonl or .parquet file, to be labelled by the model.

    `labels` are those to choose from (default: those in the file). Rows without a text or a label are left out. Raises
    TextError for a file that cannot be read, a template that `template.check_template` refuses, labels in the file that
    are not among `labels`, and fewer than two or too many labels.
    """
    check_template(template)
    if reading.long_texts == "window":
        raise TextError(
            "A labelled text has to fit into one window together with the template: windows are for texts without "
            "labels. Choose to cut long texts.",
            field="long_texts",
        )
    rows = read_labelled(path, text_column, label_column)
    reasons = [
        reason if reason or label else NO_LABEL
        for reason, (_, label) in zip(_faults([text for text, _ in rows], reading), rows, strict=True)
    ]
    kept = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
    if not kept:
        raise TextError(f"No row of {path.name} has both a text and a label. Give each text its label.")
    return SplitTexts(
        name=_checked_name(path.stem if name is None else name),
        kind="labelled",
        source=path.name,
        texts=[text for text, _ in kept],
        labels_of_texts=[label for _, label in kept],
        dropped=dict(Counter(filter(None, reasons))),
        long_texts=reading.long_texts,
        block_size=reading.block_size,
        template=template,
        labels=_checked_labels(path, {label for _, label in kept}, labels),
    )


def _checked_labels(path: Path, found: set[str], given: Sequence[str] | None) -> tuple[str, ...]:
    """The labels to choose from, in a fixed order."""
    labels = sorted(found) if given is None else [label.strip() for label in given]
    if given is not None:
        if not all(labels):
            raise TextError("A label is empty. Give each label a word.", field="labels")
        twice = [label for label, count in Counter(labels).items() if count > 1]
        if twice:
            raise TextError(f"The label '{twice[0]}' is given twice. Name each once.", field="labels")
        unseen = sorted(found - set(labels))
        if unseen:
            raise TextError(
                f"{path.name} has labels that are not among the given ones ({_listed(labels)}): {_listed(unseen)}. Add "
                "them, or correct the file.",
                field="labels",
            )
    if len(labels) < 2:
        raise TextError(
            f"{path.name} has only one label, {_listed(labels)}: there is nothing to choose between. Give a file with "
            "two labels or more, or name the others, too.",
            field="labels",
        )
    if len(labels) > MAX_LABELS:
        raise TextError(
            f"{path.name} has {len(labels):,} labels, such as {_listed(labels)}; at most {MAX_LABELS} can be compared. "
            "Is this the column with the labels?",
            field="labels",
        )
    return tuple(labels)


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{label[:40]}'" for label in labels[:5])
    return f"{shown} and {len(labels) - 5:,} more" if len(labels) > 5 else shown


# -- what they have in common


def split_of(
    name: str,
    kind: SplitKind,
    source: str,
    texts: Sequence[str],
    reading: Reading,
    dropped: dict[str, int] | None = None,
) -> SplitTexts:
    """A split of those texts that can be scored. Raises TextError where there are none, and for an unusable name."""
    reasons = _faults(texts, reading)
    kept = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
    if not kept:
        raise TextError(
            f"None of the {len(texts):,} lines of {source} has two tokens or more, so there is nothing to predict. Use "
            "longer lines."
        )
    counts = Counter(filter(None, reasons)) + Counter(dropped or {})
    return SplitTexts(
        name=_checked_name(name),
        kind=kind,
        source=source,
        texts=kept,
        dropped=dict(counts),
        long_texts=reading.long_texts,
        block_size=reading.block_size,
        stride=reading.stride,
    )


def _faults(texts: Sequence[str], reading: Reading) -> list[str | None]:
    """For each text why it cannot be scored, or None."""
    found: list[str | None] = []
    for start in range(0, len(texts), _PIECE):  # in pieces, as `tokenizing.encode`
        piece = list(texts[start : start + _PIECE])
        for text, encoding in zip(piece, reading.tokenizer.encode_batch_fast(piece), strict=True):
            is_short = len(encoding.ids) < MIN_TOKENS
            found.append(EMPTY if not text else TOO_SHORT if is_short else None)
    return found


def _checked_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > MAX_SPLIT_NAME_CHARACTERS or not cleaned.isprintable():
        raise TextError(
            f"{name!r} cannot be the name of a text: it takes 1 to {MAX_SPLIT_NAME_CHARACTERS} visible characters.",
            field="name",
        )
    return cleaned
