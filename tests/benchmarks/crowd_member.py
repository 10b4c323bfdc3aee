"""One of the crowd of `tests.benchmarks.crowd`: `crowd_member page|terminal ROOT SECONDS SEED LOG`.

Submits, stops, holds, releases, moves, removes and resumes runs at random: through the functions that the pages call,
or through real command lines. Each action becomes one line of LOG.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from bcecore.errors import BceError
from bcecore.files import read_json
from bcecore.jobs import control, queue
from bcecore.settings import parse_config
from bcecore.store.record import ACTIVE, RunRecord
from bcecore.store.runs import RunStore

# What each action is for; one in five is aimed at any run, to be refused or not.
_AIMS: dict[str, frozenset[str]] = {
    "stop": ACTIVE,
    "stop now": ACTIVE,
    "hold": frozenset({"queued"}),
    "release": frozenset({"held"}),
    "first": frozenset({"queued", "held"}),
    "down": frozenset({"queued", "held"}),
    "remove": frozenset({"queued", "held"}),
    "resume": frozenset({"stopped", "removed"}),
}
_MOST_WAITING = 5


def main() -> None:
    way, root, seconds, seed, log = sys.argv[1:]
    store, rng = RunStore(Path(root)), random.Random(int(seed))
    act = _on_page if way == "page" else _on_terminal
    end = time.monotonic() + float(seconds)
    with Path(log).open("a", encoding="utf-8") as file:
        while time.monotonic() < end:
            action, run_id = _wish(store.records(), rng)
            if run_id is None and action != "submit":
                time.sleep(0.05)
                continue
            kind = rng.choice(("short", "long"))
            line: dict[str, Any] = {"way": way, "action": action, "run": run_id, "began": time.time()}
            line |= {"done": False, "refused": None, "broken": None}
            line |= act(store, action, run_id, store.root.parent / f"{kind}.json")
            file.write(json.dumps(line | {"ended": time.time()}) + "\n")
            file.flush()
            time.sleep(rng.random() * 0.2)


def _wish(records: list[RunRecord], rng: random.Random) -> tuple[str, str | None]:
    waiting = sum(record.status in ("queued", "held") for record in records)
    if waiting < _MOST_WAITING and rng.random() < 0.3:
        return "submit", None
    action = rng.choice(list(_AIMS))
    anywhere = rng.random() < 0.2
    fitting = [record.id for record in records if anywhere or record.status in _AIMS[action]]
    return action, rng.choice(fitting) if fitting else None


def _on_page(store: RunStore, action: str, run_id: str | None, config: Path) -> dict[str, Any]:
    try:
        if run_id is None:
            return {"run": control.launch(store, parse_config(read_json(config)), name=config.stem), "done": True}
        match action:
            case "stop" | "stop now":
                record = control.stop(store, run_id, save=action == "stop")
                return {"done": record.is_active}
            case "hold":
                queue.hold(store, run_id)
            case "release":
                control.release(store, run_id)
            case "first" | "down":
                queue.move(store, run_id, action)
            case "remove":
                queue.remove(store, run_id)
            case "resume":
                control.resume(store, run_id)
    except BceError as error:
        return {"refused": str(error)}
    except Exception:  # noqa: BLE001 - what must never happen is what is looked for
        return {"broken": traceback.format_exc()}
    return {"done": True}


def _on_terminal(store: RunStore, action: str, run_id: str | None, config: Path) -> dict[str, Any]:
    if run_id is None:
        words = ["train", "--config", str(config), "--name", config.stem, "--detach"]
    elif action.startswith("stop"):
        words = ["stop", run_id, *(["--now"] if action == "stop now" else [])]
    elif action == "resume":
        words = ["resume", run_id, "--detach"]
    else:
        words = ["queue", action, run_id]
    command = [sys.executable, "-m", "bcecore", *words, "--runs-dir", str(store.root)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = result.stderr.strip()
    if result.returncode == 2 and errors.startswith("error: ") and len(errors.splitlines()) == 1:
        return {"refused": errors}
    # Of what is submitted it is also said, on stderr, what was noticed about it.
    if result.returncode or (errors and action != "submit"):
        return {"broken": f"{' '.join(words)}: status {result.returncode}, {errors}"}
    if action == "submit":
        return {"run": result.stdout.strip(), "done": True}
    return {"done": not action.startswith("stop") or " stops" in result.stdout or "saves a" in result.stdout}


if __name__ == "__main__":
    main()
