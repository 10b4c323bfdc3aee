"""lr-zero (W, or N): steps at which the learning rate was 0, so that nothing was learnt. Pure.

Fires as a warning when the logged rate is exactly 0 at two or more rows in succession before the newest one: a
schedule that ended before the run, a rate that was never set. The newest row is left out because a schedule may end at
0 with the last step. Step 1 alone is a note: with a warm-up, Hugging Face's schedules begin at 0 (`lr(1) = 0`), and the
first batch is read for nothing. A later single 0 is a note as well. Healthy runs with a warm-up give this note and
nothing else; the report's run does.

What is found stays: those steps taught nothing, whatever came after.
"""

from __future__ import annotations

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, counted
from bcecore.findings.rows import MOST_STEPS, Logged, finite, noticed

KEY = "learning_rate"
ROWS = 2


def lr_zero(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `learning_rate`."""
    return noticed(LrZero(), subject, logged, config)


class LrZero:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._newest: tuple[int, float] | None = None
        self._run = 0
        self._run_start = 0
        self._alone: list[int] = []
        self._alone_count = 0
        self._runs: list[tuple[int, int]] = []  # first and last step
        self._runs_count = 0
        self._rows = 0

    def feed(self, new: Logged) -> None:
        """Take note of further rows; the newest is judged when the next one comes."""
        steps, rates = finite(new.get(KEY))
        if not len(rates):
            return
        if self._newest is not None:
            steps, rates = np.append(self._newest[0], steps), np.append(self._newest[1], rates)
        self._newest = int(steps[-1]), float(rates[-1])
        judged, zero = steps[:-1].tolist(), rates[:-1] == 0
        if not self._run and not zero.any():
            return
        for step, is_zero in zip(judged, zero.tolist(), strict=True):
            self._take(step, is_zero)

    def _take(self, step: int, is_zero: bool) -> None:
        if not is_zero:
            self._run = 0
            return
        self._run += 1
        if self._run == 1:
            self._run_start = step
            self._alone_count += 1
            if len(self._alone) < MOST_STEPS:
                self._alone.append(step)
            return
        self._rows += 1 + (self._run == ROWS)
        if self._run == ROWS:
            self._alone_count -= 1
            if self._alone and self._alone[-1] == self._run_start:
                self._alone.pop()
            self._runs_count += 1
            if len(self._runs) < MOST_STEPS:
                self._runs.append((self._run_start, step))
        elif self._runs and self._runs[-1][0] == self._run_start:
            self._runs[-1] = self._run_start, step

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        if self._runs:
            first, last = self._runs[0]
            more = "" if self._runs_count == 1 else f", and at {counted(self._runs_count - 1, 'later place')}"
            return [
                Finding(
                    id="lr-zero",
                    severity="W",
                    subject=subject,
                    numbers={"rows": self._rows, "stretches": [list(run) for run in self._runs]},
                    sentence=(
                        f"From step {first:,} to {last:,}{more} the learning rate was 0: the model learnt nothing "
                        "there."
                    ),
                    what_to_do=(
                        "Let the schedule end with the run: train again with the number of steps that it was made for, "
                        "or leave those steps out."
                    ),
                    field="training.lr_scheduler",
                    steps=tuple(run[0] for run in self._runs),
                    keys=(KEY,),
                )
            ]
        if not self._alone:
            return []
        only_first = self._alone == [1]
        which = "step 1" if only_first else f"{counted(self._alone_count, 'single step')}, first at {self._alone[0]:,},"
        return [
            Finding(
                id="lr-zero",
                severity="N",
                subject=subject,
                numbers={"rows": self._alone_count, "steps": list(self._alone)},
                sentence=f"At {which} the learning rate was 0, so that the model learnt nothing from it.",
                what_to_do=(
                    "Nothing has to be done: a warm-up begins at 0."
                    if only_first
                    else "Nothing has to be done about single steps."
                ),
                field="training.warmup_steps",
                steps=tuple(self._alone),
                keys=(KEY,),
            )
        ]
