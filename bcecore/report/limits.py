"""What the figures of a run cannot show: sentences by rules, from what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from bcecore.config import RunConfig
from bcecore.report.logged import Logged, bce_term, check_losses, language_loss, training_steps
from bcecore.report.observations import within_seed_range
from bcecore.report.throughput import Throughput
from bcecore.report.words import count, number
from bcecore.store.imported import Imported
from bcecore.store.objective import has_bce
from bcecore.store.record import RunRecord

_FEW_DOCUMENTS = 100


class Limit(NamedTuple):
    """One thing that the figures cannot show."""

    title: str
    text: str


def limits(
    record: RunRecord,
    config: RunConfig | None,
    imported: Imported | None,
    logged: Logged,
    pace: Throughput,
    told: Collection[str] = (),
) -> list[Limit]:
    """All that limits what may be concluded from a run's figures, the gravest first.

    `told`: the rules whose findings stand beside it, and need not be said again.
    """
    found = [
        *([] if "future-leak" in told else _sight(record, config)),
        *_checking(record, config, logged, told),
        *_objective(logged),
        *_effect(config, logged, told),
        *_origin(config, imported),
        *_gaps(record, logged, pace),
    ]
    return [Limit(title, text) for title, text in found]


def _sight(record: RunRecord, config: RunConfig | None) -> list[tuple[str, str]]:
    """Whether the model could see what it had to predict."""
    if config is None:
        return [
            (
                "Whether the model sees ahead",
                "The log does not say whether the model could see the words that it had to predict. A BERT-style model "
                "can unless it was built as a decoder; its loss is then low without anything learnt, and so is its "
                "perplexity.",
            )
        ]
    probe = record.facts.get("leak_probe")
    if probe is None:
        return [
            (
                "Whether the model sees ahead",
                "It was not checked whether the model can see the words that it has to predict.",
            )
        ]
    if not probe["leaks"]:
        return []
    return [
        (
            "The model sees ahead",
            "The model can see the words that it has to predict: changing a later word moved an earlier prediction by "
            f"{number(probe['largest_change'])}. Its losses and perplexities say nothing about what it learnt, and "
            "cannot be compared with those of a model that reads from left to right.",
        )
    ]


def _checking(
    record: RunRecord, config: RunConfig | None, logged: Logged, told: Collection[str]
) -> list[tuple[str, str]]:
    """What the held-out text is worth."""
    checked = bool(check_losses(logged))
    if not checked:
        return [
            (
                "No held-out text",
                "The run was never checked on text that it does not learn from, so its figures cannot tell learning "
                "from memorising.",
            )
        ]
    if config is None:
        return [
            (
                "The checking text",
                "This log does not say which text the checks used, nor whether the model also learnt from it.",
            )
        ]
    if config.data.validation == "first_rows_of_training":
        if "split-reuse" in told:
            return []
        return [
            (
                "No held-out text",
                "The checks used lines that the model also learns from: they show memory, not learning.",
            )
        ]
    found = []
    shared = record.dataset.get("validation_also_in_training", 0)
    if shared and "overlap" not in told:
        found.append(
            (
                "Checking lines that are training lines",
                f"{count(shared, 'checking line')} of {record.dataset['validation_examples']:,} "
                f"{'is' if shared == 1 else 'are'} also in the training text, which makes held-out CE too low.",
            )
        )
    lines = record.dataset.get("validation_examples", 0)
    if 0 < lines < _FEW_DOCUMENTS and "too-small" not in told:
        found.append(
            (
                "A small checking text",
                f"Held-out CE rests on {count(lines, 'line')}; with fewer than {_FEW_DOCUMENTS}, small differences are "
                "chance.",
            )
        )
    found.append(
        (
            "The best checkpoint",
            "Its held-out CE is a little too good, because the same text chose it. A text that was used for nothing "
            "else would say how good it is.",
        )
    )
    return found


def _objective(logged: Logged) -> list[tuple[str, str]]:
    """What is in the loss."""
    term = bce_term(logged)
    found = []
    if len(term) and np.nan_to_num(term.values).any():
        found.append(
            (
                "The loss is not CE alone",
                "The loss contains BCE’s own term, which falls by itself while its weight rises. Only CE says how well "
                "the model predicts, and perplexity is exp(CE) and of nothing else.",
            )
        )
    ce = language_loss(logged)
    if ce.worked_out and len(ce.series):
        found.append(
            (
                "CE is worked out",
                "The log has no CE of its own. It is the logged loss less BCE’s weight times BCE’s value: right only "
                "if the loss was logged as their sum.",
            )
        )
    return found


def _effect(config: RunConfig | None, logged: Logged, told: Collection[str]) -> list[tuple[str, str]]:
    """What can be said about BCE."""
    found = []
    bce_losses = logged.series("bce_loss")
    uses_bce = config.bce.enabled if config is not None else len(bce_losses) > 0 and has_bce(logged.keys)
    if "no-gradient" in told:
        pass  # as it was measured
    elif uses_bce and config is not None and config.bce.profile == "seed":
        found.append(
            (
                "BCE adds no gradient",
                "In the seed profile BCE’s value is computed apart from the model: it changes the logged loss and "
                "nothing else. The weights end up the same as with BCE off.",
            )
        )
    elif uses_bce and config is None and within_seed_range(bce_losses):
        found.append(
            (
                "Whether BCE adds any gradient",
                "The log does not say. All BCE losses lie where the seed profile’s must lie, and the seed profile adds "
                "no gradient: it changes the logged loss and nothing else.",
            )
        )
    if uses_bce:
        found.append(
            (
                "Whether BCE helped",
                "A single run cannot show it. Nor can scoring one checkpoint with and without BCE’s weight: its CE "
                "stays the same. It takes twins that differ in BCE only, with several seeds, and held-out text.",
            )
        )
    else:
        found.append(
            ("A single run", "Another seed gives other figures; one run does not say by how much."),
        )
    return found


def _origin(config: RunConfig | None, imported: Imported | None) -> list[tuple[str, str]]:
    """What the figures may not be compared with."""
    if config is not None and config.model.kind == "offline":
        return [
            (
                "Random first weights",
                "The model began from random weights. One that begins from trained weights, as the original report’s "
                "did, reaches much lower losses with the same settings; the two are not to be compared.",
            )
        ]
    if imported is None:
        return []
    unknown = [name for name in ("model", "text", "block_size", "seed", "device") if name not in imported.facts]
    words = {"model": "the model", "text": "the text", "block_size": "the longest example"}
    if not unknown:
        return []
    named = [words.get(name, f"the {name}") for name in unknown]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    verb = "is" if len(named) == 1 else "are"
    text = f"{listed[0].upper()}{listed[1:]} {verb} not in this log, so the run cannot be repeated from it alone."
    return [("What the log does not know", text)]


def _gaps(record: RunRecord, logged: Logged, pace: Throughput) -> list[tuple[str, str]]:
    """What was not logged."""
    found = []
    steps = training_steps(logged)
    if len(steps) > 1:
        every = int(np.median(np.diff(steps)))
        if every > 1:
            found.append(
                (
                    "Between the logged steps",
                    f"Training values were logged every {count(every, 'step')}: what happened in between shows only in "
                    "their means.",
                )
            )
        if steps[0] > every:
            found.append(("The beginning", f"Nothing before step {steps[0]:,} is in this log."))
    if pace.steps_per_second is None and record.is_over:
        found.append(("The pace", "The log has no times, so neither the wall clock nor the pace is known."))
    elif pace.steady is None and pace.seconds is not None and record.status == "imported":
        found.append(
            ("Whether the pace was steady", "Only the whole time is known, so the pace is a mean over the run.")
        )
    if record.is_over and record.status not in ("finished", "imported"):
        found.append(("The end", "The run did not reach its last step; its figures are those of an unfinished run."))
    return found
