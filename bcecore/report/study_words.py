"""Sentences about a study: what it will see, how its arms were set, what its figures cannot show. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from bcecore.evaluation.outcome import Comparison, Cost, Difference, Foretold
from bcecore.evaluation.planning import POWER
from bcecore.evaluation.statistics import FEW_SEEDS
from bcecore.report.document import Item
from bcecore.report.words import count, percent, roughly
from bcecore.settings import describe
from bcecore.store.studies import Arm, StudyPlan

_MINUS = "−"


def nats(value: float | None) -> str:
    """A difference of CE with its sign: `+0.00112`, `−0.0234`; enough digits to be no zero."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    digits = 4 if size >= 0.01 or value == 0 else 5 if size >= 1e-4 else min(12, 1 - math.floor(math.log10(size)))
    words = f"{value:+.{digits}f}" if value else "0"
    return words.replace("-", _MINUS)


def with_interval(found: Difference) -> str:
    """`−0.0234 (95 %: −0.0300 to −0.0168)`."""
    if found.low is None or found.high is None:
        return f"{nats(found.value)} (no interval)"
    return f"{nats(found.value)} ({100 * found.level:.4g} %: {nats(found.low)} to {nats(found.high)})"


def foretold_words(foretold: Foretold, plan_margin: float) -> list[str]:
    """What a study can and cannot see, and how long it will take, before it is launched."""
    return [*sight_words(foretold, plan_margin), time_words(foretold)]


def sight_words(foretold: Foretold, plan_margin: float) -> list[str]:
    """What a study can and cannot see."""
    sized = f"{count(foretold.seeds, 'seed')} and {count(foretold.documents, 'document')}"
    likely = percent(POWER)
    said = []
    matters = f"A difference of {plan_margin:g} would matter."
    if foretold.mde is None:
        said.append(f"{sized} tell nothing of how much results vary, so no difference can be shown. {matters}")
    elif foretold.pilot is None:
        said.append(
            f"{sized} will likely ({likely}) see differences above {foretold.mde:.2g} nats per token; smaller ones it "
            f"may miss. {matters} How much results vary is assumed here, as a small trial of the model built here "
            "showed it: no earlier study of this model tells."
        )
    else:
        between = ""
        if foretold.mde_low is not None and foretold.mde_high is not None:
            between = f" (somewhere from {foretold.mde_low:.2g} to {foretold.mde_high:.2g}: the pilot is small)"
        said.append(
            f"{sized} will likely ({likely}) see differences above {foretold.mde:.2g} nats per token{between}, as far "
            f"as study {foretold.pilot} tells; smaller ones it may miss. {matters}"
        )
    if foretold.seeds < FEW_SEEDS:
        said.append(
            f"With fewer than {FEW_SEEDS} seeds it is a first look: it will name no winner, whatever comes out."
        )
    said.append(
        "It can tell whether BCE changes the loss on texts like these, for models trained like these; not whether "
        "answers are better, and nothing about other sizes or other texts."
    )
    return said


def time_words(foretold: Foretold) -> str:
    """How long a study will take."""
    if foretold.seconds is None:
        return f"How long its {count(foretold.runs, 'run')} take is known after the first one."
    each = max(1, min(foretold.places, foretold.runs))
    at_once = f", {each} at once" if each > 1 else ""
    return (
        f"Its {count(foretold.runs, 'run')} take about {roughly(foretold.seconds / each)} of training{at_once}, "
        "and a little more to be measured."
    )


def arm_words(plan: StudyPlan, arm: Arm) -> str:
    """How an arm is set, in words: `Use BCE: off`, `as the base settings`."""
    titles = {item.key: item.title for item in describe()}
    parts = [f"{titles.get(key, key)}: {_value(value)}" for key, value in arm.changes.items()]
    words = "; ".join(parts) or "as the base settings"
    return f"{words} (positive control)" if arm.planted else words


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else json.dumps(value)


def proof_words(found: Comparison) -> list[str]:
    """Why "changed nothing" is certain: the weights' hashes, and the gradient that BCE added."""
    said = []
    if found.identical_weights:
        said.append(
            f"The trained weights of “{found.arm}” and “{found.reference}” are the same in every bit at every seed; "
            "their hashes are equal."
        )
    gradient = found.gradient
    if gradient is not None and gradient.largest == 0:
        said.append(
            f"What BCE adds to the gradient was measured at {count(gradient.measured, 'step')} and was exactly 0 at "
            "each of them."
        )
    elif gradient is not None and gradient.largest is not None:
        said.append(
            f"What BCE adds to the gradient was measured at {count(gradient.measured, 'step')}; its largest norm was "
            f"{gradient.largest:.3g}."
        )
    return said


def cost_words(cost: Cost) -> str:
    """What an arm cost in time."""
    ratio = cost.ratio
    if ratio is None:
        return f"What “{cost.arm}” took in time beside “{cost.reference}” is not known: its runs were interrupted."
    each = sorted(own / reference for _, reference, own in cost.pairs)
    return (
        f"“{cost.arm}” trained at {ratio:.2f} times the pace of “{cost.reference}”: the median of "
        f"{count(len(each), 'seed')} (from {each[0]:.2f} to {each[-1]:.2f}), in steps per second, checks and "
        "checkpoints included. What else the machine did meanwhile is in it."
    )


def limits(plan: StudyPlan, comparisons: Sequence[Comparison]) -> list[Item]:
    """What the figures of a study cannot show."""
    found = [
        Item(
            "The loss on held-out text tells how well the next token is predicted. Whether answers are more useful, "
            "safer or better liked was not measured.",
            "The loss is not everything",
        ),
        Item(
            f"The seeds vary the first weights, the order of the text and dropout; the result is about models of this "
            f"size, trained for {count(plan.total_steps, 'step')} on this text, and measured on texts like these.",
            "These models, these texts",
        ),
    ]
    if plan.primary.long_texts == "truncate":
        found.append(
            Item(
                f"Of each document the first {plan.primary.block_size:,} tokens were measured; what stands behind them "
                "in longer ones was not.",
                "Beginnings only",
            )
        )
    if len(plan.seeds) < FEW_SEEDS:
        found.append(
            Item(f"With fewer than {FEW_SEEDS} seeds a difference can be chance; no winner is named.", "Few seeds")
        )
    if any(each.left_out for each in comparisons):
        left_out = max(each.left_out for each in comparisons)
        found.append(
            Item(
                f"{count(left_out, 'document')} of “{plan.primary.name}” are also in the training text and do not "
                "count.",
                "Documents left out",
            )
        )
    if len(plan.looks) > 1:
        found.append(
            Item(
                f"The study has {count(len(plan.looks), 'planned look')} (at {_listed(plan.looks)} seeds) and as many "
                "chances to be wrong; each interval is wider for it, so that all together are wrong no more often than "
                "one would be.",
                "Several looks",
            )
        )
    return found


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
