"""too-good (W): the language loss on held-out text is lower than text can be foreseen. Pure.

Fires when the newest check of a held-out text has a CE below 0.1 nats a token. English carries about 0.6 to 1.3 bits a
character (Shannon 1951, by people's guesses), which is about 2 nats a token; the largest models of today are at 1.5 to
2, and CE below 0.1 means that the model is as good as certain of every token: it sees the future, or it has learnt
these very texts. The report's 0.058 came of both. Healthy runs here are at 4 to 6; a public summarisation model, whose
answers stand in the text that it reads, is at 0.49.

A foreign log does not say whether its loss is that of a language model; for a classifier 0.05 is nothing special.
Without settings and without BCE's keys the finding is therefore a note.

It holds of the newest check, and ends with one at 0.1 or above.
"""

from __future__ import annotations

import math

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.findings.rows import Logged, check_keys, finite, noticed, number
from bcecore.store.objective import has_bce

LIMIT = 0.1


def too_good(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at every held-out loss."""
    return noticed(TooGood(), subject, logged, config)


class TooGood:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}
        self._first: dict[str, int] = {}
        self._other: set[str] = set()  # what was ever below 0 is no language loss
        self._is_language = False

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        self._is_language |= has_bce(new.keys())
        for key in check_keys(new.keys()):
            for step, value in zip(*(array.tolist() for array in finite(new[key])), strict=True):
                self._newest[key] = value
                if value < 0:
                    self._other.add(key)
                if value >= LIMIT:
                    self._first.pop(key, None)
                else:
                    self._first.setdefault(key, step)

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        # By name: in which order they came depends on how the log was cut.
        first = {name: self._first[name] for name in sorted(self._first) if name not in self._other}
        if not first:
            return []
        key = min(first, key=lambda name: self._newest[name])
        value, is_language = self._newest[key], config is not None or self._is_language
        held_out = config is None or config.data.holds_out
        certain = f"the model is {math.exp(-value):.0%} sure of every next token"
        what = (
            "The checking text is training text: set other lines aside and train again."
            if not held_out
            else "Find out whether the model sees the words it has to predict, and whether its checking text is in its "
            "training text; until then, do not believe this number."
            if is_language
            else "If this is the loss of a language model, look whether it sees the words that it has to predict, and "
            "whether its checking text is in its training text."
        )
        return [
            Finding(
                id="too-good",
                severity="W" if is_language else "N",
                subject=subject,
                numbers={name: {"ce": self._newest[name], "since": step} for name, step in first.items()},
                sentence=(
                    f"On the text that checks it, the loss ({key}) is {number(value)}, as if {certain}. No text can be "
                    "foreseen that well."
                ),
                what_to_do=what,
                field="data.validation",
                steps=tuple(sorted(set(first.values()))),
                keys=tuple(first),
            )
        ]


def too_good_measured(subject: str, ce: float, where: str) -> list[Finding]:
    """The finding about a CE that was measured on a held-out text, if there is one: it fires below 0.1 nats per token.

    `where` says in words which text it is: `the held-out lines`.
    """
    if not math.isfinite(ce) or ce >= LIMIT:
        return []
    return [
        Finding(
            id="too-good",
            severity="W",
            subject=subject,
            numbers={"ce": ce, "perplexity": math.exp(ce), "limit": LIMIT, "where": where},
            sentence=(
                f"A CE of {ce:.3g} on {where} is too good to be true: the model would foresee nearly every token "
                f"(perplexity {math.exp(ce):.3f})."
            ),
            what_to_do=(
                "Look for the reason before you believe it: the model sees the tokens that it has to predict, the text "
                "is also in the training text, or it says the same over and over."
            ),
        )
    ]
