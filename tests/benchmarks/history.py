"""A log of a million steps: reading it, reading one more line, and what of it reaches a chart (`bench history`)."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.json

from bcecore.report.charts import View, draw
from bcecore.report.run_figures import run_figures
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter, metrics_line
from tests.examples import example_config, training_lines

STEPS = 1_000_000
NEW_LINES = 50
FIRST_READ_BUDGET, NEW_LINE_BUDGET_MS, ROWS_BUDGET = 3.0, 5.0, 2000


def run(rounds: int | None = None, *, steps: int = STEPS) -> dict[str, Any]:
    """Write such a log, read it and Arrow's plain reader in turns, and say what each took."""
    with tempfile.TemporaryDirectory(prefix="bce-bench-") as name:
        directory = Path(name)
        path = directory / "metrics.jsonl"
        write_log(path, steps)
        ratios, plain, ours = [], [], []
        for _ in range(rounds or 5):
            plain.append(_seconds(lambda: pyarrow.json.read_json(path)))
            history = History(directory)
            ours.append(_seconds(history.refresh))
            ratios.append(ours[-1] / plain[-1])
        new_line = [_one_more(history, path, steps + n + 1) for n in range(NEW_LINES)]
        charts = run_figures(history, example_config())
        first = _seconds(lambda: [draw(figure, View()) for figure in charts])
        _one_more(history, path, steps + NEW_LINES + 1)
        again = _seconds(lambda: [draw(figure, View()) for figure in run_figures(history, example_config())])
        rows = [_rows(draw(figure, View()).spec) for figure in charts]
        smooth = [_rows(draw(figure, View(smoothing=0.9)).spec) for figure in charts]
        ratio, worst = statistics.median(ratios), max(*rows, *smooth)
        return {
            "bench": "history",
            "what": "reading the live log of a long run, reading one more line of it, and the rows sent to its charts",
            "steps": steps,
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "keys": len(history.keys),
            "first_read_over_arrow": round(ratio, 3),
            "first_read_budget": FIRST_READ_BUDGET,
            "first_read_seconds": round(statistics.median(ours), 2),
            "arrow_seconds": round(statistics.median(plain), 2),
            "new_line_ms": round(statistics.median(new_line), 3),
            "new_line_ms_worst": round(max(new_line), 3),
            "new_line_budget_ms": NEW_LINE_BUDGET_MS,
            "most_rows_in_a_chart": max(rows),
            "most_rows_in_a_smoothed_chart": max(smooth),
            "rows_budget": ROWS_BUDGET,
            "all_charts_first_seconds": round(first, 3),
            "all_charts_after_one_line_seconds": round(again, 3),
            "met": ratio <= FIRST_READ_BUDGET
            and statistics.median(new_line) <= NEW_LINE_BUDGET_MS
            and worst <= ROWS_BUDGET,
        }


def write_log(path: Path, steps: int) -> None:
    """The live log of a run of so many steps, as the training process writes it."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(
            metrics_line(line) + "\n" for line in training_lines(example_config(), range(1, steps + 1), steps)
        )


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    del result  # freeing it is no part of reading
    return seconds


def _one_more(history: History, path: Path, step: int) -> float:
    """Milliseconds to read one line that has just been added."""
    with MetricsWriter(path) as writer:
        line = next(training_lines(example_config(), range(step, step + 1), step))
        writer.write(line)
    return 1000 * _seconds(history.refresh)


def _rows(spec: dict[str, Any]) -> int:
    return sum(len(table) for table in spec["datasets"].values())
