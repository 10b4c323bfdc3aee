"""The colours of the charts, and what they mean. Pure.

All of them have a contrast of 3 or more on the light and on the dark background, and those that share a chart stay
apart for colour-blind eyes. Colour is never alone: lines that share a chart differ in their dashes or their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

BCE_ON, BCE_OFF = "#1F7FC9", "#D55E00"
"""BCE on and off, everywhere."""
HELD_OUT = "#009E73"
NEUTRAL = "#7A7F87"
TROUBLE = "#D1495B"
RUN_COLORS = ("#BF830A", "#A17EE6", "#267180", "#9D0BE6", "#08A68C", "#B24109")
"""Runs that are compared. None of them is taken for BCE on or off. More than six that everybody can tell apart do not
exist, so beyond six the dashes tell."""

Dash = tuple[int, ...]
SOLID: Dash = (1, 0)
DASHED: Dash = (6, 3)
DOTTED: Dash = (2, 2)
MIXED: Dash = (8, 3, 2, 3)
DASHES = (SOLID, DASHED, DOTTED, MIXED)


def run_palette(run_ids: Sequence[str]) -> dict[str, str]:
    """A colour for each of these runs, different ones as long as there are enough.

    It comes from the run's id, so a run has the same colour on every page. Where two want the same, the one whose id
    comes first (the older) keeps it: runs that are added later take no colour away.
    """
    chosen: dict[str, str] = {}
    used = dict.fromkeys(RUN_COLORS, 0)
    for run_id in sorted(set(run_ids)):
        wanted = crc32(run_id.encode())
        fewest = min(used.values())
        free = [color for color in RUN_COLORS if used[color] == fewest]
        first = RUN_COLORS[wanted % len(RUN_COLORS)]
        chosen[run_id] = first if first in free else free[wanted // len(RUN_COLORS) % len(free)]
        used[chosen[run_id]] += 1
    return {run_id: chosen[run_id] for run_id in run_ids}


def run_dashes(colors: Sequence[str]) -> list[Dash]:
    """The dashes of lines in these colours: lines of one colour get different ones, up to four."""
    seen: dict[str, int] = {}
    dashes = []
    for color in colors:
        dashes.append(DASHES[seen.get(color, 0) % len(DASHES)])
        seen[color] = seen.get(color, 0) + 1
    return dashes
