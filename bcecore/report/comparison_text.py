"""A comparison as plain text for a terminal, and as JSON for a script. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bcecore.report.comparability import Side, warnings
from bcecore.report.comparison import (
    CHANCE,
    Compared,
    Delta,
    Entry,
    compare,
    direction_words,
    figure,
    signed,
    worked_out_words,
)
from bcecore.report.differences import Differences, differences
from bcecore.report.summary import At

_WIDTH = 30


def comparison_text(sides: Sequence[Side], *, same_step: bool = False) -> str:
    """What differs between the sides and in their values, the first one being the baseline."""
    compared, differing = compare(sides, same_step=same_step), _differences(sides)
    lines = [
        f"{'baseline' if place == 0 else 'with':<9} {side.name}  ({side.record.id}, {side.record.status})"
        for place, side in enumerate(sides)
    ]
    several = len({side.record.id for side in sides}) > 1
    if several:
        width = max([_WIDTH, *(len(row.title) for row in differing.rows)])
        lines += ["", "what differs"]
        lines += [f"  {row.title:<{width}}  {'  |  '.join(row.words)}" for row in differing.rows]
        lines.append(f"  {differing.rest_words}")
    for one in compared:
        unit = ", ".join(filter(None, (one.metric.unit, direction_words(one.metric))))
        lines += ["", f"{one.metric.name}{f' ({unit})' if unit else ''}"]
        for side, entry in zip(sides, one.entries, strict=True):
            lines.append(f"  {side.name:<{_WIDTH}}  {_entry_text(entry)}")
        if one.worked_out:
            lines.append(f"  {worked_out_words(one)}")
    if any(one.at_different_steps for one in compared) and not any(side.step is not None for side in sides):
        lines += ["", "Last values are of different steps; --same-step compares at the largest step that all have."]
    cautions = warnings([one.metric.key for one in compared], sides, 0)
    if cautions:
        lines += ["", "to keep in mind", *(f"  {caution}" for caution in cautions)]
    return "\n".join([*lines, "", CHANCE] if several else lines)


def _differences(sides: Sequence[Side]) -> Differences:
    return differences(sides, lambda _, choice: choice)  # a choice is given to `--set` as it is


def _entry_text(entry: Entry) -> str:
    if entry.value is None:
        return "–"
    parts = [f"{figure(entry.value.value)} at step {entry.value.step:,}{_delta_text(entry.delta)}"]
    if entry.best is not None:
        parts.append(f"best {figure(entry.best.value)} at step {entry.best.step:,}{_delta_text(entry.best_delta)}")
    if entry.obstacle is not None:
        parts.append(f"{'not comparable' if entry.obstacle.known else 'with care'}: {entry.obstacle.short}")
    return "; ".join(parts)


def _delta_text(delta: Delta | None) -> str:
    if delta is None:
        return ""
    verdict = "" if delta.verdict in ("none", "equal") else f", {delta.verdict}"
    return f" ({signed(delta.difference)}{verdict})"


def comparison_json(sides: Sequence[Side], *, same_step: bool = False) -> dict[str, Any]:
    """The same as plain values. Numbers that are not finite are null; `better` is null where nothing can be said."""
    compared, differing = compare(sides, same_step=same_step), _differences(sides)
    return {
        "sides": [
            {"name": side.name, "run": side.record.id, "step": side.step, "status": side.record.status}
            for side in sides
        ],
        "baseline": 0,
        "differences": [
            {"key": row.key, "title": row.title, "values": row.values, "words": row.words} for row in differing.rows
        ],
        "equal_settings": differing.equal,
        "unknown_settings": differing.unknown,
        "metrics": {one.metric.key: _metric_json(one) for one in compared},
        "not_comparable": warnings([one.metric.key for one in compared], sides, 0),
    }


def _metric_json(one: Compared) -> dict[str, Any]:
    return {
        "name": one.metric.name,
        "unit": one.metric.unit,
        "better": one.metric.better,
        "worked_out": list(one.worked_out),
        "values": [
            {
                "value": _at(entry.value),
                "best": _at(entry.best),
                "against_baseline": _delta(entry.delta),
                "best_against_baseline": _delta(entry.best_delta),
                "not_comparable": None if entry.obstacle is None else entry.obstacle.short,
            }
            for entry in one.entries
        ],
    }


def _at(at: At | None) -> dict[str, Any] | None:
    return None if at is None else {"value": _finite(at.value), "step": at.step}


def _delta(delta: Delta | None) -> dict[str, Any] | None:
    if delta is None:
        return None
    better = None if delta.verdict in ("none", "equal") else delta.verdict == "better"
    return {"difference": _finite(delta.difference), "better": better}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
