"""What the results of an evaluation mean, in sentences. Pure: results in, words out.

Every sentence follows from the numbers that it names. Changes are given in nats per token, never as a percentage of a
loss: a percentage of a number near 0 is large whatever it means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bcecore.evaluation.decomposition import Averaging, Difference, Measure, Side
from bcecore.evaluation.labelled import LabelMetrics
from bcecore.evaluation.paired import FEW_DOCUMENTS, MARGIN, Choice, Comparison
from bcecore.report.words import NOT_A_NUMBER, count, percent, scientific
from bcecore.settings import readable_number

MEASURE_WORDS: dict[Measure, str] = {
    "report": "as the report measured it",
    "objective": "what training minimises",
    "model": "what the model predicts",
}
MEASURE_HELP: dict[Measure, str] = {
    "report": (
        "A fresh trainer’s eval_loss: CE plus BCE’s term w·R, at the weight of step 1, where a fresh trainer stands. "
        "It changes with the weight although the model is the same."
    ),
    "objective": "CE plus BCE’s term w·R, at the weight that the schedule gives this checkpoint.",
    "model": "CE alone: how surprised the model is by the next token. Perplexity is made of this and of nothing else.",
}
AVERAGING_WORDS: dict[Averaging, str] = {
    "examples": "every text counts once (the report’s way)",
    "tokens": "every token counts once (ours)",
}
RECOMMENDED_DOCUMENTS = 100
_MINUS = "−"


# -- numbers


def fixed(x: float | None, decimals: int) -> str:
    """A number with so many decimals: `0.0580`, `−0.1453`; `–` where it is not known."""
    if x is None:
        return "–"
    if not math.isfinite(x):
        return NOT_A_NUMBER if math.isnan(x) else "infinite" if x > 0 else "minus infinite"
    words = f"{x:.{decimals}f}"
    # What rounds to zero has no sign.
    return words.lstrip("-") if float(words) == 0 else words.replace("-", _MINUS)


def signed(words: str) -> str:
    """A written number with its sign, also where it is a plus; `0` has none."""
    return words if words.startswith(_MINUS) or not words.strip("0.") or not words[0].isdigit() else f"+{words}"


def nats(x: float) -> str:
    """A loss or a change of one, with at least two digits that say something: `0.012`, `−0.00023`, `2.310`, `0`."""
    if x == 0:
        return "0"
    if not math.isfinite(x):
        return fixed(x, 3)
    if abs(x) < 1e-6:
        return scientific(x).replace("-", _MINUS)
    return fixed(x, max(3, 1 - math.floor(math.log10(abs(x)))))


def percent_change(share: float | None, decimals: int = 2) -> str:
    """A change as a percentage, from a share that was never rounded: `+0.40 %`; `–` where it says nothing."""
    return "–" if share is None else f"{signed(fixed(100 * share, decimals))} %"


# -- on and off


def difference_sentence(difference: Difference) -> str:
    """What the difference between on and off comes from."""
    ce, term = difference.change_in_ce, difference.change_in_term
    if not (math.isfinite(ce) and math.isfinite(term)):
        return "The loss is not a number on at least one text, so there is no difference to explain."
    if ce != 0:
        return (
            f"Of the difference, {signed(nats(ce))} is what the model predicts (CE) and {signed(nats(term))} is BCE’s "
            "own term."
        )
    if difference.measure == "model":
        return "The model predicts the same: the weight adds to the score and changes no prediction."
    if difference.off.weight != 0:
        return (
            f"“Off” was not off here: its weight was {_weight(difference.off)}. BCE adds its own term on both sides; "
            "the model predicts the same."
        )
    if difference.on.weight == 0:
        return "The BCE weight is 0, so on and off are the same."
    return "BCE adds its own term; the model predicts the same."


def difference_equation(difference: Difference) -> str:
    """`−0.00023 = 0 in CE − 0.00023 in BCE’s term (0.0005 × −0.461)`."""
    on, off = difference.on, difference.off
    terms = f"{_weight(on)} × {nats(on.bce_loss)}" if on.weight else "0"
    if off.weight:
        terms += f" less {_weight(off)} × {nats(off.bce_loss)}"
    term = nats(difference.change_in_term)
    joined = f"− {term[1:]}" if term.startswith(_MINUS) else f"+ {term}"
    return f"{nats(difference.change)} = {nats(difference.change_in_ce)} in CE {joined} in BCE’s term ({terms})"


def _weight(side: Side) -> str:
    return readable_number(float(f"{side.weight:.3g}"))


def rounding_note(difference: Difference, printed_on: str, printed_off: str) -> str | None:
    """What the percentage would be if it came from the printed figures, where that is not the same; else None."""
    true = percent_change(difference.off_against_on)
    on, off = float(printed_on.replace(_MINUS, "-")), float(printed_off.replace(_MINUS, "-"))
    rounded = percent_change(off / on - 1 if on > 0 else None)
    if rounded == true:
        return None
    return (
        f"{true} is from the unrounded values; the printed ones ({printed_on} and {printed_off}) would give {rounded}."
    )


# -- two sides on the same texts


def comparison_sentence(comparison: Comparison, first: str, second: str) -> str:
    """The paired difference in words, with its interval; `first` and `second` are what the sides are called."""
    change, n = comparison.difference.value, comparison.documents
    if not n:
        return "Nothing can be compared: no text has a loss that is a number on both sides."
    if comparison.identical:
        return f"Exactly the same is predicted by {first} and {second} on {_texts(n)}."
    if math.isnan(comparison.low):
        return f"CE changes by {signed(nats(change))} nats per token from {first} to {second}, on one text only."
    level = f"{100 * comparison.level:.3g} %"
    decimals = _worth(comparison)
    if not comparison.tells_apart:
        middle, low, high = (signed(fixed(x, decimals)) for x in (change, comparison.low, comparison.high))
        return (
            f"No difference that this text can show: {middle} nats per token from {first} to {second}, {level} between "
            f"{low} and {high}."
        )
    better, worse = (second, first) if change < 0 else (first, second)
    won = comparison.better if change < 0 else comparison.worse
    middle, least, most = (
        fixed(abs(x), decimals) for x in (change, *sorted((comparison.low, comparison.high), key=abs))
    )
    return (
        f"CE is lower with {better} than with {worse}, by {middle} nats per token ({level} between {least} and "
        f"{most}), and lower on {percent(won / n)} of {_texts(n)}."
    )


def _worth(comparison: Comparison) -> int:
    """Decimals that a difference is worth: to the first digit of how uncertain it is, and four of its own at most."""
    size = abs(comparison.difference.value)
    half = (comparison.high - comparison.low) / 2 or size
    decimals = -math.floor(math.log10(half)) if half else 3
    # The same change on every text leaves nothing but rounding uncertain.
    return max(3, min(decimals, 3 - math.floor(math.log10(size))) if size else decimals)


def comparison_cautions(comparison: Comparison) -> list[str]:
    """What to keep in mind beside the difference: few texts, a size that hardly matters, losses that are no numbers."""
    found = []
    n = comparison.documents
    if n and comparison.few:
        found.append(
            f"Only {_texts(n)}: a first look. {FEW_DOCUMENTS} are the least for a comparison, "
            f"{RECOMMENDED_DOCUMENTS} are better."
        )
    if comparison.tells_apart and not comparison.matters:
        found.append(f"The difference is real but small: a change of {MARGIN:g} nats per token would matter.")
    broken = max(comparison.broken_first, comparison.broken_second)
    if broken:
        found.append(f"{_texts(broken)} had a loss that is not a number and could not be compared.")
    return found


def choice_sentence(choice: Choice, names: Sequence[str], preferred: str = "the earliest") -> str:
    """Which side to keep, and why.

    `names` are in the order of the sides, the one to prefer first, and `preferred` says what makes it so.
    """
    kept, lowest = names[choice.keep], names[choice.lowest]
    if choice.why == "nothing to compare":
        return "Nothing can be compared: no text has a loss that is a number on every side."
    if choice.why == "identical":
        return f"Keep {kept}: all of them predict exactly the same, and it is {preferred}."
    if choice.why == "broken":
        return f"Keep {kept}: the others have texts on which their loss is not a number."
    against = choice.against_lowest[choice.keep]
    if choice.why == "better":
        other = next(comparison for comparison in choice.against_lowest if comparison is not None)
        if len(names) == 2:
            return f"Keep {kept}. {comparison_sentence(other, names[1 - choice.keep], kept)}"
        return (
            f"Keep {kept}: its CE is lower than that of every other one, by more than chance on these texts explains."
        )
    if against is None:
        rivals = [
            name
            for name, comparison in zip(names, choice.against_lowest, strict=True)
            if comparison is not None and not comparison.tells_apart
        ]
        return (
            f"Keep {kept}: it has the lowest CE and is {preferred} that could be the best. These texts cannot tell it "
            f"from {', '.join(rivals)}."
        )
    return f"Keep {kept}: it is {preferred} that could be the best. {comparison_sentence(against, kept, lowest)}"


def _texts(n: int) -> str:
    return count(n, "text")


# -- labelled sets


def label_sentences(metrics: LabelMetrics) -> list[str]:
    """How well the model labels, against the simplest answer there is, and how far its confidence can be trusted."""
    share = f"Right on {metrics.right:,} of {_texts(metrics.examples)}: {percent(metrics.accuracy)}"
    found = [
        f"{share} (95 % between {percent(metrics.low)} and {percent(metrics.high)}).",
    ]
    always = f"answering “{metrics.most_frequent}” every time"
    if metrics.beats_baseline:
        found.append(f"That is better than {always}, which is right on {percent(metrics.baseline)}.")
    elif metrics.high < metrics.baseline:
        found.append(f"That is worse than {always}, which is right on {percent(metrics.baseline)}.")
    else:
        found.append(
            f"These texts do not show that it is better than {always}, which is right on {percent(metrics.baseline)}."
        )
    off_by = count(round(100 * metrics.calibration.error), "percentage point")
    found.append(f"How sure it is and how often it is right are {off_by} apart on average.")
    if metrics.examples < FEW_DOCUMENTS:
        found.append(f"Only {_texts(metrics.examples)}: a first look.")
    return found
