"""The tables of a run, for its page and for its report alike. Pure."""

from __future__ import annotations

from bcecore.report.document import Table
from bcecore.report.highlights import COLUMNS, shown_columns
from bcecore.report.logged import NOT_LOGGED, Logged, check_losses, language_loss, written
from bcecore.report.material import Material
from bcecore.report.metrics import CHECK_PREFIXES, metric, origin_of
from bcecore.report.summary import At
from bcecore.report.words import duration, number

_WORKED_OUT = "CE is worked out: the logged loss less BCE’s term."
_TITLES = {
    "epoch": "Epoch",
    "loss": "Loss",
    "ce": "CE",
    "grad_norm": "Gradient norm",
    "learning_rate": "Learning rate",
    "bce_weight": "BCE weight",
    "bce_loss": "BCE loss",
    "bce_term": "BCE term (weight × BCE loss)",
    "eval_loss": "CE of the check",
    "eval_perplexity": "Perplexity of the check",
    "tokens": "Tokens seen",
}


def facts_table(material: Material) -> Table:
    """Run facts."""
    return Table("Run facts", ("Item", "Value"), tuple((fact.title, fact.value) for fact in material.facts))


def snapshot_table(material: Material) -> Table | None:
    """The values at the last step; None for an empty log."""
    found = material.snapshot
    if found is None:
        return None
    rows = [(_title(key, material), written(key, value)) for key, value in found.values.items()]
    if found.step in material.checkpoints:
        rows.append(("Checkpoint", f"kept (step {found.step:,})"))
    note = "The values of one step are those of the few examples in it." if "loss" in found.values else ""
    return Table(f"Values at step {found.step:,}, the last", ("Metric", "Value"), tuple(rows), note)


def _title(key: str, material: Material) -> str:
    if key == "eval_loss" and material.config is None:
        return "Loss of the check"
    if key == "bce_loss" and material.config is None:
        return _capital(metric(key, origin_of(material.logged.keys, ours=False)).name)
    return _TITLES[key]


def highlights_table(material: Material) -> Table | None:
    """What was logged where the schedules turn; None for an empty log."""
    if not material.highlights:
        return None
    columns = [key for key in COLUMNS if key in shown_columns(material.logged)]
    rows = tuple(
        (row.stage, f"{row.step:,}", *(written(key, row.values.get(key)) for key in columns))
        for row in material.highlights
    )
    notes = [_WORKED_OUT] if language_loss(material.logged).worked_out else []
    turns = material.milestones
    assert turns is not None
    beyond = [step for step in material.extra_steps if not turns.first <= step <= turns.last]
    if beyond:
        listed = ", ".join(f"{step:,}" for step in beyond)
        notes.append(f"Not in this log, which has steps {turns.first:,} to {turns.last:,}: {listed}.")
    return Table(
        "Schedule highlights", ("Stage", "Step", *(_title(key, material) for key in columns)), rows, " ".join(notes)
    )


def throughput_table(material: Material) -> Table:
    """How fast the run was."""
    pace = material.pace
    rows = [("Steps", f"{pace.steps:,}")]
    rows.append(("Wall clock", NOT_LOGGED if pace.seconds is None else duration(pace.seconds)))
    if pace.steps_per_second is None:
        rows.append(("Steps per second", NOT_LOGGED))
    else:
        rows.append(("Steps per second", f"{number(pace.steps_per_second)} ({pace.source})"))
    if pace.tokens_per_second is not None:
        rows.append(("Tokens per second", f"{number(pace.tokens_per_second)} (median)"))
    if pace.slowest is not None and pace.fastest is not None:
        rows.append(("Slowest and fastest tenth", f"{number(pace.slowest)} and {number(pace.fastest)} steps/s"))
    return Table("Throughput", ("Item", "Value"), tuple(rows))


def best_table(material: Material, *, by_key: bool = False) -> Table | None:
    """The last and best values of every metric, by its name or as it was logged; None for an empty log."""
    if not material.best:
        return None
    rows = []
    for row in material.best:
        key = row.metric.key
        name = key if by_key or (material.config is None and key.startswith(CHECK_PREFIXES)) else row.metric.name
        ends = NOT_LOGGED
        if row.lowest is not None and row.highest is not None:
            ends = f"{written(key, row.lowest.value)} … {written(key, row.highest.value)}"
        better = {"lower": "lower", "higher": "higher", None: NOT_LOGGED}[row.metric.better]
        rows.append((name if by_key else _capital(name), better, _at(key, row.last), _at(key, row.best), ends))
    note = (
        "The best value of a single training step is chance: the lowest of many that jump. That of a check, on text "
        "that was held out, means something."
    )
    if any(row.worked_out for row in material.best):
        note = f"{_WORKED_OUT} {note}"
    columns = ("Metric", "Better", "Last (step)", "Best (step)", "Lowest … highest")
    return Table("Best and last values", columns, tuple(rows), note)


def _at(key: str, at: At | None) -> str:
    return NOT_LOGGED if at is None else f"{written(key, at.value)} ({at.step:,})"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:] if not name.startswith(CHECK_PREFIXES) else name


_OF_A_CHECK = ("loss", "perplexity", "runtime", "samples_per_second", "steps_per_second")
_CHECK_TITLES = {
    "loss": "CE",
    "perplexity": "Perplexity, exp(CE)",
    "runtime": "Time for a check",
    "samples_per_second": "Examples per second",
    "steps_per_second": "Batches per second",
}


def check_tables(material: Material) -> list[Table]:
    """What the checks logged, a table each: the last and the best of every value."""
    tables = []
    prefixes = [key.removesuffix("loss") for key in check_losses(material.logged)]
    for prefix in prefixes:
        longer = [other for other in prefixes if other.startswith(prefix) and other != prefix]
        keys = [
            key
            for key in material.logged.keys
            if key.startswith(prefix) and not any(key.startswith(other) for other in longer)
        ]
        rank = {f"{prefix}{name}": place for place, name in enumerate(_OF_A_CHECK)}
        keys.sort(key=lambda key: rank.get(key, len(rank)))
        rows = tuple(_check_row(material, key, key.removeprefix(prefix)) for key in keys)
        title = "Checks on held-out text" if material.config is not None else f"Checks logged as {prefix}…"
        if material.config is not None and not material.config.data.holds_out:
            title = "Checks on training lines that were re-used"
        tables.append(Table(title, ("Metric", "Last (step)", "Best (step)"), rows, _check_note(material, prefix)))
    return tables


def _check_row(material: Material, key: str, name: str) -> tuple[str, str, str]:
    row = next(row for row in material.best if row.metric.key == key)
    title = _CHECK_TITLES.get(name, "") if material.config is not None else ""
    unit = f" ({row.metric.unit})" if material.config is None and row.metric.unit else ""
    # Of how long a check took, the best says nothing about the model.
    best = row.best if row.metric.group != "pace" else None
    return title or f"{_capital(name.replace('_', ' '))}{unit}", _at(key, row.last), _at(key, best)


def _check_note(material: Material, prefix: str) -> str:
    if material.config is not None or f"{prefix}perplexity" in material.logged.keys:
        return ""
    return "No perplexity is given: it is exp(CE), and the log does not say whether this loss is CE alone."


def scoring_table(material: Material) -> Table | None:
    """The last check scored with and without BCE's term: the report's "BCE vs No-BCE". None where it was not logged."""
    ce, whole = _last_of(material.logged, "eval_loss"), _last_of(material.logged, "eval_objective")
    perplexity = _last_of(material.logged, "eval_perplexity")
    if material.config is None or ce is None or whole is None or whole.step != ce.step:
        return None
    model = (written("eval_loss", ce.value), written("eval_perplexity", perplexity.value if perplexity else None))
    rows = (
        ("BCE’s term counted", written("eval_loss", whole.value), *model),
        ("BCE’s term left out", written("eval_loss", ce.value), *model),
        ("Difference", written("eval_loss", whole.value - ce.value), "0", "0"),
    )
    return Table(
        f"One model, scored twice (step {ce.step:,})",
        ("Scoring", "Objective", "CE", "Perplexity, exp(CE)"),
        rows,
        "The model is the same in both rows. Only the term that is added differs, so this says nothing about whether "
        "training with BCE helped.",
    )


def _last_of(logged: Logged, key: str) -> At | None:
    series = logged.series(key)
    return At(float(series.values[-1]), int(series.steps[-1])) if len(series) else None
