"""The sentences of the Launch page: what a text, a length and an estimate amount to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, listed
from bcecore.jobs.estimate import Estimate
from bcecore.jobs.submit import Checked
from bcecore.report.facts import DROPPED_WORDS
from bcecore.report.finding_words import counts_words
from bcecore.settings import readable_number
from bcecore.ui.words import count, duration, number, size

# How much of a file's name goes into the name of a run.
_NAMED_CHARACTERS = 40


def text_words(checked: Checked) -> str:
    """How many lines there are and what becomes of them."""
    data = checked.config.data
    learnt, held_out = len(checked.train.ids), len(checked.validation.ids)
    use = f"{learnt:,} to learn from, "
    if data.validation == "none":
        use += "none to check"
    elif data.validation == "first_rows_of_training":
        use += f"the first {held_out:,} of them to check"
    else:
        use += f"{held_out:,} to check"
    parts = [count(checked.text.lines_read, "line"), use]
    cut = checked.train.cut + checked.validation.cut
    if cut:
        parts.append(f"{cut:,} {_is_are(cut)} cut at {data.block_size:,} tokens")
    parts += [f"{n:,} left out: {DROPPED_WORDS[reason]}" for reason, n in checked.text.dropped.items()]
    short = checked.train.too_short + checked.validation.too_short
    if short:
        parts.append(f"{short:,} left out: a single token gives nothing to predict")
    return " · ".join(parts)


def model_words(checked: Checked) -> str:
    """What kind of model it will be, as far as that is known without loading it."""
    model = checked.config.model
    vocabulary = f"a vocabulary of {count(checked.tokenizer.get_vocab_size(), 'token')}"
    if model.kind != "offline":
        return f"A trained model, with {vocabulary}"
    layers = count(model.num_hidden_layers, "layer")
    return f"Starts from random weights: {layers}, {count(model.hidden_size, 'number')} wide, {vocabulary}"


def steps_words(config: RunConfig, text: Checked, total_steps: int) -> str:
    """The arithmetic of the run's length: `400 lines, 360 for training, batch 1, 10 epochs = 3,600 steps`."""
    training = config.training
    parts = [
        count(text.text.lines_read, "line"),
        f"{len(text.train.ids):,} for training",
        f"batch {training.batch_size:,}",
    ]
    if training.gradient_accumulation_steps > 1:
        parts.append(f"{training.gradient_accumulation_steps:,} batches a step")
    steps = count(total_steps, "step")
    if training.max_steps is None:
        epochs = f"{readable_number(training.epochs)} epoch{'s' * (training.epochs != 1)}"
        return f"{', '.join([*parts, epochs])} = {steps}"
    epochs = number(total_steps / config.steps_per_epoch(len(text.train.ids)))
    return f"{', '.join(parts)}: it stops after {steps}, which is {epochs} epochs"


def estimate_words(estimate: Estimate) -> str:
    """Time, disk and size of the model, as far as the probe can tell."""
    kept = "no checkpoints" if not estimate.checkpoints else count(estimate.checkpoints, "checkpoint")
    return (
        f"about {duration(estimate.seconds)} on this machine · about {size(estimate.disk_bytes)} of disk "
        f"({kept} and the model) · a model of {weights_words(estimate.weights)}"
    )


def weights_words(weights: int) -> str:
    """The size of a model: `1.1 million weights`."""
    for factor, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if weights >= factor:
            return f"{weights / factor:.3g} {name} weights"
    return count(weights, "weight")


def run_name(recipe: str, own_text: str | None, changed: Sequence[str]) -> str:
    """A name for a run that tells it from others: its recipe, its text where that is one's own, and that it differs."""
    name = recipe if own_text is None else f"{recipe} on {own_text[:_NAMED_CHARACTERS]}"
    return f"{name}, changed" if changed else name


def _is_are(n: int) -> str:
    return "is" if n == 1 else "are"


def noticed_words(findings: Sequence[Finding], sections: Mapping[str, str]) -> str:
    """How much was noticed and where, in one sentence with links; empty where nothing was.

    `sections` has, by the first part of a setting's name, the anchor of the section with that name as its text.
    """
    if not findings:
        return ""
    places = dict.fromkeys(sections[str(finding.field).partition(".")[0]] for finding in findings)
    worthless = " **No result of this run will count.**" if any(finding.blocks for finding in findings) else ""
    counts = counts_words(finding.severity for finding in findings)
    return f"Above: {counts}.{worthless} See {listed(list(places))}."
