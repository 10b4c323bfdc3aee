"""Whether a value of two runs measures the same thing, and why not. Pure.

A lower number is better news only where both were measured alike: on the same text, cut into the same tokens, by models
that see the same. What is said here stands in place of a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bcecore.config import AUTO_TOKENIZER, RunConfig
from bcecore.report.logged import LanguageLoss, Logged, language_loss
from bcecore.report.metrics import CHECK_PREFIXES, Origin, metric, origin_of
from bcecore.store.columns import Series, Steps, Values
from bcecore.store.imported import Imported
from bcecore.store.objective import has_bce
from bcecore.store.record import RunRecord


@dataclass(frozen=True, eq=False)
class Side:
    """One thing that is compared: a run as a whole, or a run at one step. Its values are read as those of a log are."""

    name: str
    """Its name in tables and sentences; no other side has the same."""
    record: RunRecord
    config: RunConfig | None
    """None for a run that was trained elsewhere, or whose settings cannot be read."""
    history: Logged
    imported: Imported | None = None
    step: int | None = None
    """None for the run as a whole."""

    @property
    def steps(self) -> Steps:
        """The logged steps, ascending."""
        return self.history.steps

    @property
    def keys(self) -> tuple[str, ...]:
        """What was logged; CE too where it can be worked out."""
        return (*self.history.keys, "ce") if self._language_loss.worked_out else self.history.keys

    def column(self, key: str) -> Values:
        """The values of a logged key at all logged steps; NaN where there is none."""
        return self.history.column(key)

    def series(self, key: str) -> Series:
        """The steps at which a key was logged, and what; empty if it was not."""
        return self._language_loss.series if key == "ce" else self.history.series(key)

    @property
    def origin(self) -> Origin:
        """Who logged its values."""
        return origin_of(self.history.keys, ours=self.record.status != "imported")

    @property
    def ce_is_worked_out(self) -> bool:
        """Whether its CE was not logged, but is the loss less BCE's term."""
        return self._language_loss.worked_out

    @cached_property
    def _language_loss(self) -> LanguageLoss:
        return language_loss(self.history)


@dataclass(frozen=True)
class Obstacle:
    """Why the difference of a value between two runs is no verdict."""

    short: str
    """For a cell of a table."""
    sentence: str
    """For a warning, with `{a}` for the baseline, `{b}` for the others that it is about and `{all}` for all of them."""
    known: bool = True
    """False where the runs may well be comparable, but nothing says so."""


FUTURE = Obstacle(
    "one sees the future",
    "Some of {all} can see the words that they have to predict and some cannot: their losses measure different things.",
)
TOKENS = Obstacle(
    "other tokens",
    "Text is cut into other tokens for {b} than for {a}: a loss per token is then not the same measure.",
)
LENGTH = Obstacle(
    "cut at other lengths",
    "Long texts are cut at another length for {b} than for {a}: their losses are of different parts of the text.",
)
CHECKING_TEXT = Obstacle(
    "other checking text",
    "The checking text of {b} is another than that of {a}: their held-out figures cannot be compared.",
)
TRAINING_TEXT = Obstacle(
    "other training text",
    "The training text of {b} is another than that of {a}: their losses while training cannot be compared.",
)
BCE_TERM = Obstacle(
    "BCE’s own term is in it",
    "Among {all}, BCE’s own term is in some of the losses and lowers the number whatever was learnt: compare CE.",
)
TEXT_UNKNOWN = Obstacle(
    "text not known",
    "Whether {all} were measured on the same text is not known: a lower loss may only mean an easier text.",
    known=False,
)
OTHER_LINES = Obstacle(
    "of other lines",
    "A loss while training is of the lines that were learnt from at that step, and other steps have other lines.",
    known=False,
)

TWO_BCES = Obstacle(
    "not the same BCE",
    "What {all} logged as “bce loss” is not the same: of some it is the value of BCE, of some probably binary "
    "cross-entropy.",
)

_TRAINING_LOSSES = ("ce", "loss", "train_loss")


def side_names(records: Sequence[tuple[RunRecord, int | None]]) -> list[str]:
    """A name for each run at a step or as a whole: its own, with the end of its id where two runs share it."""
    runs_called: dict[str, set[str]] = {}
    for record, _ in records:
        runs_called.setdefault(record.name, set()).add(record.id)
    names = []
    for record, step in records:
        name = record.name if len(runs_called[record.name]) == 1 else f"{record.name} ({record.id[-4:]})"
        names.append(name if step is None else f"{name}, step {step:,}")
    return names


def obstacle(key: str, a: Side, b: Side) -> Obstacle | None:
    """Why the values of `key` of two sides cannot be compared, the gravest reason first; None where they can."""
    if key.endswith("bce_loss") and (a.origin == "other") != (b.origin == "other"):
        return TWO_BCES
    if metric(key).better is None:
        return None
    if a.record.id == b.record.id:
        return OTHER_LINES if key in _TRAINING_LOSSES and a.step != b.step else None
    checked = key.startswith(CHECK_PREFIXES) and metric(key).group == "check"
    if not checked and key not in _TRAINING_LOSSES:
        return None
    if checked and not key.endswith(("loss", "perplexity", "ce")):
        return _text_obstacle(a, b, "validation", CHECKING_TEXT)  # an accuracy, say: no matter of tokens
    text = _text_obstacle(a, b, *(("validation", CHECKING_TEXT) if checked else ("train", TRAINING_TEXT)))
    if _leaks(a) != _leaks(b) and None not in (_leaks(a), _leaks(b)):
        return FUTURE
    if text is not None and text.known:
        return text
    if _tokens(a) != _tokens(b) and None not in (_tokens(a), _tokens(b)):
        return TOKENS
    if _cut(a) != _cut(b) and None not in (_cut(a), _cut(b)):
        return LENGTH
    if key in ("loss", "train_loss") and _bce(a) != _bce(b):
        return BCE_TERM
    return text


def warnings(keys: Sequence[str], sides: Sequence[Side], baseline: int) -> list[str]:
    """One sentence for each reason that keeps some of these values from being compared, with the runs it is about."""
    found: dict[Obstacle, list[str]] = {}
    base = sides[baseline]
    for side in sides:
        for key in keys:
            reason = obstacle(key, base, side) if key in side.keys and key in base.keys else None
            if reason is not None and side.name not in found.setdefault(reason, []):
                found[reason].append(side.name)
    return [
        reason.sentence.format(a=_quoted([base.name]), b=_quoted(names), all=_quoted([base.name, *names]))
        for reason, names in found.items()
    ]


def _quoted(names: Sequence[str]) -> str:
    """`“a”, “b” and “c”`."""
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _text_obstacle(a: Side, b: Side, which: str, different: Obstacle) -> Obstacle | None:
    first, second = (side.record.dataset.get("fingerprints", {}).get(which) for side in (a, b))
    if first is None or second is None:
        return TEXT_UNKNOWN
    return None if first == second else different


def _leaks(side: Side) -> bool | None:
    probe = side.record.facts.get("leak_probe")
    return None if probe is None else bool(probe["leaks"])


def _tokens(side: Side) -> Any:
    """What the run's tokenizer was made from; None where that is not known."""
    if side.config is None:
        return None
    model = side.config.model
    if model.tokenizer != AUTO_TOKENIZER:
        return model.tokenizer
    if model.kind != "offline":
        return model.source
    learnt_from = side.record.dataset.get("fingerprints", {}).get("train")
    return None if learnt_from is None else (learnt_from, model.vocab_size)


def _cut(side: Side) -> int | None:
    """The length at which texts of the run were cut; None where none was, or that is not known."""
    if side.config is None or not side.record.dataset.get("cut"):
        return None
    return side.config.data.block_size


def _bce(side: Side) -> Any:
    """What decides the term that BCE adds to the loss: nothing where BCE is off."""
    if side.config is not None:
        return side.config.bce.model_dump() if side.config.bce.enabled else None
    return side.record.id if has_bce(side.history.keys) else None
