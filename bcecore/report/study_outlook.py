"""What a study would see if its results varied as much as is assumed, where no earlier study tells. Pure."""

from __future__ import annotations

from bcecore.evaluation.outcome import Foretold
from bcecore.evaluation.planning import ASSUMED, POWER, plan
from bcecore.evaluation.statistics import levels
from bcecore.report.words import count, percent


def assumed_mde(foretold: Foretold, looks: int, comparisons: int) -> float:
    """The smallest difference that would likely be seen then, nats per token, with documents of one length."""
    return plan(ASSUMED, foretold.seeds, [1] * foretold.documents, levels(looks, comparisons).difference).mde


def assumed_words(foretold: Foretold, looks: int, comparisons: int) -> str:
    """The same as a sentence, which says that it is an assumption."""
    sized = f"{count(foretold.seeds, 'seed')} and {count(foretold.documents, 'document')}"
    mde = assumed_mde(foretold, looks, comparisons)
    return (
        f"If the difference varied by {ASSUMED.seed**0.5:.2g} nats per token from seed to seed and by "
        f"{ASSUMED.document**0.5:.2g} from document to document, as it once did for the small model built here (for "
        f"this study that is an assumption, not a measurement), {sized} would likely ({percent(POWER)}) see "
        f"differences above {mde:.2g}."
    )
