"""collapse (W): the hidden states of different texts have become nearly alike, or BCE is about to make them so. Pure.

R does not show it; how far the kept states lie apart does. Fires
- when the mean cosine distance of the kept states (`bce_cosine_distance`) stays below 0.01 and below 10 % of the
  largest so far for ten rows. The largest, not the value at step 100, because a weight of 2 has done most of its work
  by then (0.10 at step 20, 0.018 at step 100); from step 10 on, when enough states are kept for the distance to mean
  something. Both limits: states of some trained models lie close together from the beginning (Ethayarajh 2019), and a
  first large learning rate can throw them far apart before they settle where a healthy run has them;
- or when the median of three successive measurements of ‖∇(w·R)‖ / ‖∇CE‖ (`bce_grad_ratio`, every 50 steps) is above
  0.4: BCE then pulls nearly as hard as the text, and the collapse is under way. The first guess of 0.2 is too low:
  healthy runs at the default weight of 0.5 touch 0.23.

Measured (distance at the end over the largest; largest median of three ratios; default weight 0.5 unless said):

| runs | distance | ratio |
|---|---|---|
| quick-look, seeds 1, 2, 42 | 0.10 / 0.15 to 0.09 / 0.12 | 0.13 |
| WikiText-2, 400 steps, seeds 1 to 3 | 0.046 / 0.14, 0.039 / 0.15, 0.052 / 0.17 (27 % at the least) | 0.19 |
| WikiText-2, weight 0.2 | 0.088 / 0.17 | 0.08 |
| quick-look over 25 epochs | 0.063 / 0.16 | 0.09 |
| WikiText-2, weight 1 | 0.018 / 0.13 (14 %) | 0.38 |
| weight 2: quick-look, WikiText-2 | 0.0074 / 0.065 (11 %), 0.0052 / 0.099 (5 %) | 0.46, 0.65 |
| weight 5: quick-look | 0.0019 / 0.049 (4 %) | 1.3 |

So weight 2 is found at step 100 by the ratio, and by the distance after 200 or more. A learning rate thirty
times too high ends at 0.002, too: a collapse of which the weight is not the cause, so the advice names both.

A collapse is a warning until the distance is above 20 % of the largest again, and a note of what happened from then
on. The pull is one until the median of the ratios has fallen to half of its limit, and nothing is said of it then.
"""

from __future__ import annotations

import statistics
from collections import deque

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, Fix
from bcecore.findings.rows import Logged, finite, fix_of, lower_learning_rate, noticed, number

DISTANCE = "bce_cosine_distance"
RATIO = "bce_grad_ratio"
SHARE = 0.1
NEAR = 0.01
ENDS_ABOVE = 0.2
ROWS = 10
FIRST_STEP = 10
RATIO_LIMIT = 0.4
RATIOS = 3
HEALTHY_WEIGHT = 0.5
"""The highest at which all runs that were looked at stayed healthy."""


def collapse(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `bce_cosine_distance` and `bce_grad_ratio`."""
    return noticed(Collapse(), subject, logged, config)


class Collapse:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._largest = 0.0
        self._largest_step = 0
        self._below = 0  # rows in succession
        self._start = 0
        self._since: int | None = None
        self._back: int | None = None
        self._now = 0.0
        self._ratios: deque[float] = deque(maxlen=RATIOS)
        self._pulls_since: int | None = None

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        self._feed_distance(new)
        steps, ratios = finite(new.get(RATIO))
        for step, ratio in zip(steps.tolist(), ratios.tolist(), strict=True):
            self._ratios.append(ratio)
            if len(self._ratios) < RATIOS:
                continue
            middle = statistics.median(self._ratios)
            if self._pulls_since is None and middle > RATIO_LIMIT:
                self._pulls_since = step
            elif middle < RATIO_LIMIT / 2:
                self._pulls_since = None

    def _feed_distance(self, new: Logged) -> None:
        steps, values = finite(new.get(DISTANCE))
        late = steps >= FIRST_STEP
        steps, values = steps[late], values[late]
        if not len(values):
            return
        largest = np.maximum.accumulate(np.maximum(values, self._largest))
        if largest[-1] > self._largest:
            self._largest_step = int(steps[np.argmax(values)])
        self._largest, self._now = float(largest[-1]), float(values[-1])
        below = values < np.minimum(SHARE * largest, NEAR)
        if self._since is None and not below.any():
            self._below = 0
            return
        wide = values > ENDS_ABOVE * largest
        for step, is_below, is_wide in zip(steps.tolist(), below.tolist(), wide.tolist(), strict=True):
            self._take(step, is_below, is_wide)

    def _take(self, step: int, is_below: bool, is_wide: bool) -> None:
        if self._since is not None and self._back is None:
            if is_wide:
                self._back = step
            return
        if not is_below:
            self._below = 0
            return
        if self._below == 0:
            self._start = step
        self._below += 1
        if self._below >= ROWS:
            self._since, self._back, self._below = self._start, None, 0

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        ratio = statistics.median(self._ratios) if self._ratios else 0.0
        pulls = self._pulls_since is not None
        has_collapsed = self._since is not None and self._back is None
        if self._since is None and not pulls:
            return []
        numbers = {
            "distance": self._now,
            "largest": self._largest,
            "largest_step": self._largest_step,
            "since": self._since,
            "spread_again": self._back,
            "ratio": ratio,
        }
        steps: list[int] = [] if self._since is None else [self._since]
        parts = []
        if has_collapsed:
            share = self._now / self._largest
            part = f"{share:.0%}" if share >= 0.01 else "less than 1%"
            parts.append(
                f"The model's inner states for different texts have become nearly alike: they lie {number(self._now)} "
                f"apart, {part} of the {number(self._largest)} at step {self._largest_step:,}."
            )
        elif self._since is not None and not pulls:
            parts.append(
                f"From step {self._since:,} on the model's inner states for different texts were nearly alike for a "
                f"while; by step {self._back:,} they were apart again."
            )
        if self._pulls_since is not None:
            steps.append(self._pulls_since)
            parts.append(
                f"BCE pulls at the weights with {ratio:.0%} of the strength of the text itself, which draws the "
                "inner states of all texts together."
            )
        what, field, fix = _advice(config, pulls=pulls)
        return [
            Finding(
                id="collapse",
                severity="W" if has_collapsed or pulls else "N",
                subject=subject,
                numbers=numbers,
                sentence=" ".join(parts),
                what_to_do=what,
                field=field,
                steps=tuple(sorted(steps)),
                keys=(DISTANCE, "bce_spread", RATIO),
                fix=fix if has_collapsed or pulls else None,
            )
        ]


def _advice(config: RunConfig | None, *, pulls: bool) -> tuple[str, str, Fix | None]:
    """What to do, the setting to look at, and the change of it."""
    if config is None or not config.bce.enabled:
        what = "Train again with a lower BCE weight, 0.5 or less; if it was that low, with a lower learning rate."
        return what, "bce.max_weight", None
    bce = config.bce
    base = min(bce.base_weight, bce.target_weight)
    highest = max(base, bce.max_weight)
    if pulls or (bce.profile == "active" and highest > HEALTHY_WEIGHT):
        most = HEALTHY_WEIGHT if highest > HEALTHY_WEIGHT else float(f"{highest / 2:.2g}")
        changes = {"bce.base_weight": min(base, most), "bce.max_weight": min(bce.max_weight, most)}
        fix = fix_of(config, f"Let the BCE weight rise to {most:g} at most", changes)
        return f"Train again with a BCE weight of {most:g} at most.", "bce.max_weight", fix
    what = (
        "Train again with a lower learning rate: the BCE weight is one at which other runs stay healthy. If that does "
        "not help, lower the weight as well."
    )
    return what, "training.learning_rate", lower_learning_rate(config, 10)
