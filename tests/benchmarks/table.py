"""How fast the table of runs is made: `python -m bcecore bench table`.

"first" is a fresh process that looks at a folder of runs as the product leaves them, "next" another look when nothing
has changed, "changed" one after one of the runs has, and "unread" the very first look at logs that nobody has read yet.
Each makes everything that Home makes of the runs: their records, their rows, the search, the order, the cells shown.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from bcecore.files import read_json
from bcecore.jobs.local import REPOSITORY, current_records
from bcecore.report.run_table import DEFAULT_COLUMNS, Query, column, columns_for, in_order, matching, run_table
from bcecore.store.metrics import metrics_line
from bcecore.store.record import STATUSES, now
from bcecore.store.runs import RECORD_FILE, RunStore
from bcecore.ui.live import table_rows
from tests.examples import example_config, example_run

LOGGED_STEPS = 200
BUDGETS = {1_000: (1.0, 0.1), 10_000: (10.0, 0.5)}
"""Seconds for the first and for the next look, by the number of runs."""

_KINDS = 8
_SHOWN = 200
_CLONED = ("config.json", "metrics.jsonl")


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure, `rounds` (default 3) looks of each kind, and take the median; returns what the command prints."""
    found = [_measure(runs, rounds or 3) for runs in BUDGETS]
    return {
        "bench": "table",
        "what": f"seconds to make the table of runs, of {LOGGED_STEPS} logged steps each",
        "folders": found,
        "met": all(folder["met"] for folder in found),
    }


def _measure(runs: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        make_runs(RunStore(Path(scratch)), runs)
        unread = _look(scratch)
        looks = [_look(scratch) for _ in range(rounds)]
    middle = {key: sorted(look[key] for look in looks)[rounds // 2] for key in looks[0]}
    first, following = BUDGETS[runs]
    return {
        "runs": runs,
        **middle,
        "unread": unread["first"],
        "budget": {"first": first, "next": following},
        "met": middle["first"] <= first and middle["next"] <= following,
    }


def _look(root: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.table", root]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def make_runs(store: RunStore, runs: int, *, steps: int = LOGGED_STEPS) -> list[str]:
    """So many runs that are over, of a few kinds, one a minute; returns their ids, the oldest first.

    Those of one kind share the file of their log, which they only read: ten thousand of them would fill a disk.
    """
    kinds = [_example(store, kind, steps) for kind in range(min(runs, _KINDS))]
    contents = [read_json(store.directory(run_id) / RECORD_FILE) for run_id in kinds]
    end = now()
    made = []
    for place in range(runs - len(kinds)):
        kind = place % _KINDS
        created = end - timedelta(minutes=runs - place)
        run_id = f"{created:%Y%m%d-%H%M%S}-run-{place}-{place % 65536:04x}"
        directory = store.root / run_id
        directory.mkdir()
        for name in _CLONED:
            os.link(store.root / kinds[kind] / name, directory / name)
        seconds = contents[kind]["progress"]["total_steps"] / 31.2
        times = {"created": created, "started": created, "ended": created + timedelta(seconds=seconds)}
        written = {name: moment.isoformat().replace("+00:00", "Z") for name, moment in times.items()}
        record = contents[kind] | written | {"id": run_id, "name": f"run {place}", "tags": [f"series-{place % 12}"]}
        text = json.dumps(record | {"status_since": written["ended"]}, indent=2)
        for name in (RECORD_FILE, "run.copy.json"):
            (directory / name).write_text(text, encoding="utf-8")
        made.append(run_id)
    return made + kinds


def _example(store: RunStore, kind: int, steps: int) -> str:
    changes: dict[str, Any] = {"bce__enabled": bool(kind % 3), "bce__profile": ("seed", "active")[kind % 2]}
    status = ("finished", "finished", "finished", "stopped", "failed")[kind % 5]
    run_id = example_run(
        store, status, name=f"example {kind}", config=example_config(**changes), steps=steps - 5 * kind
    )
    log = store.directory(run_id) / "metrics.jsonl"
    dice = random.Random(kind)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:  # real values have all their digits
        line |= {key: value * dice.uniform(0.9, 1.1) for key, value in line.items() if isinstance(value, float)}
    log.write_text("".join(metrics_line(line) + "\n" for line in lines), encoding="utf-8")
    return run_id


def look(store: RunStore) -> int:
    """Make the table as Home does; returns how many rows it has."""
    rows, unread = table_rows(store, current_records(store), seconds=3600)
    assert not unread
    found = matching(rows, Query(search="run"))
    order = column("ce.last")
    columns_for(found)
    shown = in_order(found, order, descending=False)[:_SHOWN]
    table = run_table(shown, DEFAULT_COLUMNS, {status: status for status in STATUSES}, now(), shown[0])
    return len(table)


def _main(root: str) -> dict[str, float]:
    store = RunStore(Path(root))
    first = _seconds(store)
    following = statistics.median(_seconds(RunStore(store.root)) for _ in range(5))
    store.update(store.ids()[0], name="another name")
    return {"first": first, "next": following, "changed": _seconds(store)}


def _seconds(store: RunStore) -> float:
    began = time.perf_counter()
    look(store)
    return round(time.perf_counter() - began, 4)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(sys.argv[1])))
