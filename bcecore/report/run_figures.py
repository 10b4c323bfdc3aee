"""Which charts a run has: ours from its settings, anybody's from what was logged. Every logged key is in one of them.

Charts of what a run of ours always logs are there before it logs: a page must not jump when the first step comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.report.chart_lines import MILLISECONDS, Axis, Numbers, Range, first_of
from bcecore.report.charts import Extent, Figure, Mark, Trace
from bcecore.report.finding_words import name_of
from bcecore.report.logged import Logged, language_loss
from bcecore.report.metrics import CHECK_PREFIXES, COMPONENTS, Origin, least_known, metric, origin_of
from bcecore.report.palette import (
    BCE_OFF,
    BCE_ON,
    DASHED,
    DASHES,
    HELD_OUT,
    NEUTRAL,
    RUN_COLORS,
    Dash,
    run_dashes,
)
from bcecore.store.columns import Series
from bcecore.store.objective import has_bce

LINES_PER_CHART = 12
_FEW = 200
_GAP_SMOOTHING = 0.9
_STATISTICS = ("mean", "min", "max", "std", "median")


@dataclass(frozen=True, eq=False)
class RunLines:
    """One of several runs in a chart."""

    name: str
    color: str
    """From `palette.run_palette`."""
    history: Logged
    origin: Origin = "ours"


def run_color(config: RunConfig | None, keys: Iterable[str] = ()) -> str:
    """The colour of a run: by whether BCE is on, which without its settings shows in what was logged."""
    on = config.bce.enabled if config is not None else has_bce(list(keys))
    return BCE_ON if on else BCE_OFF


def run_figures(
    history: Logged, config: RunConfig | None = None, marks: Sequence[Mark] = (), findings: Iterable[Finding] = ()
) -> list[Figure]:
    """All charts of one run, in their order on a page; `config` is None for a run that was trained elsewhere.

    `marks` are on every chart, those of a finding on the charts of the keys that it is about.
    """
    charts = _Charts(history, config)
    extent = extent_of(history)
    noticed = [finding for finding in findings if finding.steps]
    return [replace(figure, marks=(*marks, *_marks_of(figure, noticed)), extent=extent) for figure in charts.all()]


def _marks_of(figure: Figure, findings: Iterable[Finding]) -> Iterator[Mark]:
    keys = {trace.key for trace in figure.traces}
    if "ce" in keys:  # without BCE the loss is CE, and drawn as that
        keys.add("loss")
    for finding in findings:
        if not finding.keys or not keys.isdisjoint(finding.keys):
            yield from (Mark(step, "finding", name_of(finding.id)) for step in finding.steps)


def overlay_figures(runs: Sequence[RunLines], keys: Sequence[str]) -> list[Figure]:
    """One chart for each key, with a line for each run that logged it; none for a key that no run has."""
    figures = []
    dashes = run_dashes([run.color for run in runs])
    names = _distinct([run.name for run in runs])
    extent = _union([extent_of(run.history) for run in runs])
    for key in keys:
        traces = []
        for run, name, dash in zip(runs, names, dashes, strict=True):
            series = run.history.series(key)
            if len(series):
                start = first_of(run.history.column("time"))
                traces.append(Trace(name, series, run.color, dash, _is_dotted(key, series, run.history), start))
        if traces:
            known = metric(key, least_known([run.origin for run in runs if key in run.history.keys]))
            figures.append(
                Figure(
                    _slug(key),
                    _capital(known.name),
                    known.unit or "value",
                    tuple(traces),
                    f"{_capital(known.name)} of {len(traces)} runs",
                    f"{_capital(known.name)} of each run, over the same axis.",
                    known.format,
                    extent=extent,
                )
            )
    return figures


def extent_of(history: Logged) -> Extent | None:
    """How far a run reaches on each axis; None before the first step."""
    steps = history.steps
    if not len(steps):
        return None
    start = first_of(history.column("time"))
    places: dict[Axis, Numbers] = {
        "step": steps.astype(np.float64),
        "epoch": history.column("epoch"),
        "time": (history.column("time") - start) * MILLISECONDS,
    }
    above_zero = {axis: _range(values[values > 0]) for axis, values in places.items()}
    return Extent(
        (float(steps[0]), float(steps[-1])),
        _range(places["epoch"]),
        _range(places["time"]),
        {axis: found[0] for axis, found in above_zero.items() if found is not None},
    )


def _range(values: Numbers) -> Range | None:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else None


def _union(extents: Sequence[Extent | None]) -> Extent | None:
    known = [extent for extent in extents if extent is not None]
    if not known:
        return None

    def both(ranges: Sequence[Range | None]) -> Range | None:
        there = [found for found in ranges if found is not None]
        return (min(low for low, _ in there), max(high for _, high in there)) if there else None

    steps = both([extent.step for extent in known])
    assert steps is not None
    above_zero: dict[Axis, float] = {}
    for extent in known:
        for axis, least in extent.above_zero.items():
            above_zero[axis] = min(least, above_zero.get(axis, least))
    return Extent(steps, both([extent.epoch for extent in known]), both([extent.time for extent in known]), above_zero)


class _Charts:
    """The charts of one run, made one after the other from the keys that are not in one yet."""

    def __init__(self, history: Logged, config: RunConfig | None) -> None:
        self._history = history
        self._config = config
        self._left = dict.fromkeys(history.keys)
        self._start = first_of(history.column("time"))
        self._color = run_color(config, history.keys)
        self._ce = language_loss(history)
        self._bce = config.bce.enabled if config is not None else has_bce(history.keys)
        self._origin = origin_of(history.keys, ours=config is not None)

    def all(self) -> list[Figure]:
        figures = [self._loss(), self._gap(), *self._optimiser(), *self._regulariser(), *self._others()]
        return [figure for figure in figures if figure is not None]

    # -- what is expected of every run

    def _loss(self) -> Figure | None:
        traces = []
        if self._bce and (self._config is not None or len(self._ce.series)):
            traces.append(self._trace("loss", "loss with BCE", NEUTRAL, DASHED))
            traces.append(self._language_loss())
        elif self._config is not None or len(self._ce.series):
            traces.append(self._language_loss())
            if self._differs("loss", "ce"):
                traces.append(self._trace("loss", "loss", NEUTRAL, DASHED))
            self._left.pop("loss", None)
        elif "loss" in self._left:
            traces.append(self._trace("loss", "loss", self._color))
        with_ce = len(traces) == 2 or self._config is not None
        traces += self._checked_loss()
        if not traces:
            return None
        about = (
            "CE says how surprised the model is by the next token; it falls while the model learns. Held-out CE is the "
            "same on text that it does not learn from: when that rises while CE falls, the model learns by heart. "
            "The loss with BCE is what training minimises: CE plus BCE's weight times its value."
            if with_ce
            else "What training minimises; it falls while the model learns. Points are checks on other text: when they "
            "rise while the loss falls, the model learns by heart."
        )
        return Figure(
            "loss",
            "Loss and CE" if with_ce else "Loss",
            "nats per token" if with_ce else "loss",
            tuple(traces),
            "Loss and cross-entropy by step" if with_ce else "Loss by step",
            about,
        )

    def _language_loss(self) -> Trace:
        self._left.pop("ce", None)
        name = "CE (worked out: the loss less BCE's term)" if self._ce.worked_out else "CE"
        return Trace(name, self._ce.series, self._color, start=self._start, key="ce")

    def _checked_loss(self) -> list[Trace]:
        if self._config is not None:
            if self._config.data.validation == "none" and "eval_loss" not in self._left:
                return []
            checked = "held-out CE" if self._config.data.holds_out else "CE on re-used lines"
            return [self._trace("eval_loss", checked, HELD_OUT, dots=True)]
        keys = [key for key in self._left if metric(key).group == "check" and self._base(key) == "loss"]
        if len(keys) == 1:
            name = metric(keys[0], self._origin).name
            return [self._trace(keys[0], name, HELD_OUT, dots=True)]
        return self._lines(keys[:LINES_PER_CHART])

    def _gap(self) -> Figure | None:
        """CE and the objective, with the regulariser's share between them."""
        if not self._bce:
            return None
        if self._config is None and not len(self._ce.series):
            return None
        ce = self._language_loss()
        objective = self._history.series("loss")
        traces = (Trace("objective", objective, NEUTRAL, DASHED, start=self._start, key="loss"), ce)
        return Figure(
            "gap",
            "CE against the objective",
            "nats per token",
            traces,
            "CE and the objective by step, with the gap between them",
            "The objective is what training minimises, CE what the model is judged by. The shaded gap between them is "
            "BCE's term: it lowers the objective without the model predicting any better. The lines are always "
            "smoothed here; single steps would hide the gap.",
            gap=("objective", ce.name),
            least_smoothing=_GAP_SMOOTHING,
        )

    def _optimiser(self) -> list[Figure]:
        figures = []
        if self._expected("grad_norm"):
            figures.append(
                self._single(
                    "grad-norm",
                    "Gradient norm",
                    "grad_norm",
                    "length of the gradient",
                    "How strongly the text of a step pulls at the weights. Single spikes are normal; a steady rise "
                    "is not.",
                    from_zero=True,
                )
            )
        if self._expected("learning_rate"):
            figures.append(
                self._single(
                    "learning-rate",
                    "Learning speed (learning rate)",
                    "learning_rate",
                    "learning rate",
                    "How far the weights move at a step: up during the warm-up, then down as the schedule says.",
                    from_zero=True,
                    format=".3e",
                )
            )
        return figures

    def _regulariser(self) -> list[Figure]:
        if not self._bce:
            return []
        figures = []
        if self._expected("bce_weight"):
            about = "How much BCE counts beside CE at each step."
            figures.append(self._single("bce-weight", "BCE weight", "bce_weight", "weight w", about, from_zero=True))
        if self._expected("bce_loss"):
            about = "BCE's own value. In a healthy run it moves by about 0.01, so it has a scale of its own."
            figures.append(
                self._single(
                    "bce-loss", "BCE loss (R, before weighting)", "bce_loss", "R, own scale", about, format=".5~r"
                )
            )
        if self._config is not None or any(key in self._left for key in COMPONENTS):
            figures.append(self._components())
        if "bce_grad_ratio" in self._left:
            figures.append(
                self._single(
                    "bce-gradient",
                    "BCE's share of the gradient",
                    "bce_grad_ratio",
                    "of CE's gradient",
                    "How strongly BCE pulls at the weights, compared with CE: at 0 it changes nothing. It is measured "
                    "every few steps. Above 0.2 it may push the hidden states together.",
                    from_zero=True,
                )
            )
        if "bce_spread" in self._left or "bce_cosine_distance" in self._left:
            named = {"bce_spread": "spread", "bce_cosine_distance": "mean cosine distance"}
            looks = {"bce_spread": (RUN_COLORS[0], DASHES[0]), "bce_cosine_distance": (RUN_COLORS[1], DASHED)}
            traces = tuple(self._trace(key, name, *looks[key]) for key, name in named.items() if key in self._left)
            figures.append(
                Figure(
                    "bce-spread",
                    "Spread of the hidden states",
                    "of the kept states",
                    traces,
                    "Spread of the hidden states by step",
                    "How far the hidden states that BCE remembers are apart. If it falls to a tenth of what it was at "
                    "the start, the states collapse: the model says the same of every text.",
                    from_zero=True,
                )
            )
        return figures

    def _components(self) -> Figure:
        looks = [(color, dash) for dash in DASHES for color in RUN_COLORS]
        traces = tuple(
            self._trace(key, _component_name(key), color, dash)
            for key, (color, dash) in zip(COMPONENTS, looks, strict=False)
            if self._config is not None or key in self._left
        )
        return Figure(
            "bce-components",
            "BCE components",
            "value, 0 to 1",
            traces,
            "BCE components by step",
            "The nine parts that BCE's value is made of: the reward signal (rl), how typical the hidden state is "
            "(iso), how close it is to its long-term average (dcycle), to its neighbours (dbscan) and to its recent "
            "average (bayes), how strong it is (fuzzy), and discovery (auto), ethics and master, which stay constant.",
        )

    # -- whatever else was logged

    def _others(self) -> list[Figure]:
        families: dict[str, list[str]] = {}
        for key in self._left:
            families.setdefault(self._family(key), []).append(key)
        figures = []
        for family, keys in families.items():
            for part, start in enumerate(range(0, len(keys), LINES_PER_CHART)):
                figures.append(self._family_figure(family, keys[start : start + LINES_PER_CHART], part))
        # Python keeps the order of equals: as they were logged, and what never changes comes last.
        return sorted(figures, key=lambda figure: (figure.more, all(_constant(t.series) for t in figure.traces)))

    def _family_figure(self, family: str, keys: list[str], part: int) -> Figure:
        known = [metric(key, self._origin) for key in keys]
        title = known[0].name if len(keys) == 1 else _family_title(family)
        title = _capital(title) + (f" ({part + 1})" if part else "")
        units = {m.unit for m in known}
        unit = units.pop() if len(units) == 1 else ""
        groups = {m.group for m in known}
        ours = self._config is not None
        written = ", ".join(f"“{key}”" for key in keys)
        return Figure(
            "log-" + _slug(family) + (f"-{part + 1}" if part else ""),
            title,
            unit or "value",
            tuple(self._lines(keys)),
            f"{title} by step",
            f"As it was logged, under {'the name' if len(keys) == 1 else 'the names'} {written}.",
            known[0].format,
            more=ours or groups <= {"pace", "totals"},
        )

    def _family(self, key: str) -> str:
        known = metric(key)
        if known.group == "pace":
            return f"pace in {known.unit}"
        if known.group == "totals":
            return key
        base = self._base(key)
        if "/" in base:
            return base.partition("/")[0]
        stem, _, last = base.rpartition("_")
        if last in _STATISTICS and stem and self._has_relatives(stem, base):
            return stem
        return base

    def _has_relatives(self, stem: str, base: str) -> bool:
        others = {stem, *(f"{stem}_{statistic}" for statistic in _STATISTICS)} - {base}
        return any(other in self._history.keys for other in others)

    def _base(self, key: str) -> str:
        """A key without what says on which text it was checked: `eval_g0_accuracy` is about `accuracy`."""
        rest = _rest(key)
        if rest == key:
            return key
        tail = rest.partition("_")[2]
        if not tail:
            return rest
        rests = {_rest(other) for other in self._history.keys if _rest(other) != other}
        relatives = {other.partition("_")[0] for other in rests if other.partition("_")[2] == tail}
        return tail if len(relatives) > 1 or tail in rests or tail in self._history.keys else rest

    # -- lines

    def _expected(self, key: str) -> bool:
        return self._config is not None or key in self._left

    def _single(
        self, key: str, title: str, logged: str, unit: str, about: str, *, from_zero: bool = False, format: str = ".4~r"
    ) -> Figure:
        trace = self._trace(logged, metric(logged).name, self._color, dots=logged == "bce_grad_ratio")
        return Figure(key, title, unit, (trace,), f"{_capital(metric(logged).name)} by step", about, format, from_zero)

    def _lines(self, keys: Sequence[str]) -> list[Trace]:
        """Lines of equal rank: each looks different."""
        looks = (
            [(color, dash) for dash in DASHES for color in RUN_COLORS] if len(keys) > 1 else [(self._color, DASHES[0])]
        )
        names = _distinct([metric(key, self._origin).name for key in keys])
        return [
            self._trace(key, name, color, dash, dots=_is_dotted(key, self._history.series(key), self._history))
            for key, name, (color, dash) in zip(keys, names, looks, strict=False)
        ]

    def _trace(self, key: str, name: str, color: str, dash: Dash = DASHES[0], *, dots: bool = False) -> Trace:
        self._left.pop(key, None)
        series = self._history.series(key)
        if key == "time":
            series = Series(series.steps, series.values - self._start, series.epochs, series.times)
        return Trace(name, series, color, dash, dots, self._start, key)

    def _differs(self, one: str, other: str) -> bool:
        first, second = self._history.column(one), self._history.column(other)
        return bool((np.abs(first - second) > 1e-9).any())  # NaN differs from nothing


def _rest(key: str) -> str:
    prefix = next((prefix for prefix in CHECK_PREFIXES if key.startswith(prefix)), "")
    return key.removeprefix(prefix)


def _is_dotted(key: str, series: Series, history: Logged) -> bool:
    return metric(key).group == "check" or len(series) <= min(_FEW, len(history.steps) // 4) or len(series) == 1


def _constant(series: Series) -> bool:
    known = series.values[np.isfinite(series.values)]
    return len(known) < 2 or bool(known.min() == known.max())


def _component_name(key: str) -> str:
    """With the short name that the method's own texts use: `reward (rl)`."""
    name, short = COMPONENTS[key], key.removeprefix("bce_")
    return name if name == short else f"{name} ({short})"


def _family_title(family: str) -> str:
    return family.replace("_", " ").replace("/", ": ")


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _slug(key: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-") or "value"
