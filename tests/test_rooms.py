"""Who may import whom (DESIGN §3), from the source of every module and from what a process has really loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bcecore"

BASE = {"config", "settings", "recipes", "errors", "files", "schedule", "text"}
# The rooms each room may import from, besides itself and base.
MAY_IMPORT: dict[str, set[str]] = {
    "base": set(),
    "store": set(),
    "jobs": {"store"},
    "findings": {"store"},
    "training": {"store"},
    "evaluation": {"training", "store", "findings"},
    "evaluation.study": {"training", "store", "findings", "jobs"},
    "report": {"store", "evaluation", "findings"},
    "ui": {"report", "findings", "jobs", "evaluation", "evaluation.study", "store"},
    "pages": {"ui", "report", "findings", "jobs", "evaluation", "evaluation.study", "store"},
    "app": {"ui", "report", "findings", "jobs", "evaluation", "evaluation.study", "store"},
    # Whatever a page starts also runs as a command: it may do what a page may, but not draw.
    "cli": {"report", "findings", "jobs", "evaluation", "evaluation.study", "store", "bootstrap"},
    "bootstrap": set(),
    "front door": {"bootstrap", "cli"},
}
WITH_TORCH = {"training", "evaluation"}
WITH_STREAMLIT = {"ui", "pages", "app"}
# Rooms that the dashboard's process loads.
IN_THE_DASHBOARD = ("ui", "report", "findings", "jobs", "store", *sorted(BASE))


def source_files() -> list[Path]:
    outside = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
    return [path for path in [*sorted(PACKAGE.rglob("*.py")), *outside] if path.exists()]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module of this repository."""
    if not module.startswith("bcecore"):
        return module.partition(".")[0]  # app, pages
    parts = module.split(".")[1:]
    if not parts:
        return "base"  # bcecore/__init__.py, which is empty
    if parts[0] in BASE:
        return "base"
    if parts[0] == "__main__":
        return "front door"
    if parts[0].startswith("cli_"):
        return "cli"
    return "evaluation.study" if parts[:2] == ["evaluation", "study"] else parts[0]


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in source_files()}


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file, those within functions included: its line and the whole name of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in modules() else node.module


def faults_of(name: str) -> list[str]:
    path = modules()[name]
    room = room_of(name)
    if room not in MAY_IMPORT:
        return [f"{path.relative_to(ROOT)}: {room!r} is not a room; if it is meant, give it its line in {__file__}"]
    faults = []
    for line, imported in imports_of(path):
        first = imported.partition(".")[0]
        where = f"{path.relative_to(ROOT)}:{line}: {name} imports {imported}"
        if first in ("bcecore", "app", "pages"):
            other = room_of(imported)
            kin = {room, "base", room.partition(".")[0]}
            allowed = MAY_IMPORT[room] | ({"base"} if room in ("bootstrap", "front door") else kin)
            if other not in allowed:
                faults.append(where)
        elif (first in ("torch", "transformers", "accelerate", "datasets") and room not in WITH_TORCH) or (
            first == "streamlit" and room not in WITH_STREAMLIT
        ):
            faults.append(where)
    return faults


def test_the_scan_sees_the_modules_and_their_imports() -> None:
    assert {"bcecore.config", "bcecore.text.reading", "bcecore.store.runs", "bcecore.jobs.submit"} <= set(modules())
    imported = {name for _, name in imports_of(PACKAGE / "jobs" / "submit.py")}
    assert {"bcecore.store.runs", "bcecore.text.prepare", "bcecore.config", "tokenizers"} <= imported
    # An import in a function counts, and so does a module that comes by its package.
    assert "pyarrow.parquet" in {name for _, name in imports_of(PACKAGE / "text" / "reading.py")}
    assert "bcecore.text.quality" in {name for _, name in imports_of(PACKAGE / "text" / "prepare.py")}


@pytest.mark.parametrize(
    ("module", "source", "count"),
    [
        ("bcecore.store.x", "from bcecore.jobs.submit import submit", 1),
        ("bcecore.store.x", "from bcecore import files, schedule", 0),
        ("bcecore.text.x", "from bcecore.store import runs", 1),
        ("bcecore.config", "from bcecore.store.runs import RunStore", 1),
        ("bcecore.training.x", "import torch\nfrom bcecore.store.runs import RunStore", 0),
        ("bcecore.training.x", "def f():\n    from bcecore.jobs.local import start", 1),
        ("bcecore.jobs.x", "import torch", 1),
        ("bcecore.report.x", "def f():\n    import streamlit as st", 1),
        ("bcecore.report.x", "from bcecore.ui.words import say", 1),
        ("bcecore.ui.x", "import streamlit\nfrom bcecore.report.charts import draw", 0),
        ("bcecore.ui.x", "from bcecore.training import engine", 1),
        ("bcecore.ui.x", "from transformers import AutoTokenizer", 1),
        ("bcecore.evaluation.scoring", "import torch\nfrom bcecore.training.models import build_model", 0),
        ("bcecore.evaluation.scoring", "from bcecore.jobs.submit import submit", 1),
        ("bcecore.evaluation.study", "from bcecore.jobs.submit import submit", 0),
        ("bcecore.cli", "from bcecore.jobs.local import start", 0),
        ("bcecore.cli", "import torch", 1),
        ("bcecore.misc.x", "", 1),
        ("pages.X", "from bcecore.ui.page import begin", 0),
        ("bcecore.ui.x", "import app", 1),
    ],
)
def test_the_rule_knows_what_it_forbids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, count: int
) -> None:
    path = tmp_path / "x.py"
    path.write_text(source)
    known = modules() | {module: path} | dict.fromkeys(("bcecore.store.runs", "bcecore.training.engine"), path)
    monkeypatch.setitem(globals(), "modules", lambda: known)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert len(faults_of(module)) == count


def test_nobody_imports_from_where_it_must_not() -> None:
    faults = [fault for name in modules() for fault in faults_of(name)]
    assert faults == []


def test_init_files_are_empty() -> None:
    assert [path for path in PACKAGE.rglob("__init__.py") if path.read_text().strip()] == []
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", ["__main__.py", "bootstrap.py"])
def test_the_front_door_needs_nothing_that_must_be_installed(name: str) -> None:
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    # The command itself is imported within a function, when the environment is there.
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    named = {alias.name for node in at_once if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in at_once if isinstance(node, ast.ImportFrom)}
    assert {name for name in named if name.partition(".")[0] not in sys.stdlib_module_names} <= {"bcecore"}
    everywhere = {imported.partition(".")[0] for _, imported in imports_of(PACKAGE / name)}
    assert everywhere - set(sys.stdlib_module_names) <= {"bcecore"}


def loaded_by(names: list[str], forbidden: set[str]) -> set[str]:
    """Which of the `forbidden` packages a fresh process has loaded after importing these modules."""
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
        f"print(*({forbidden!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


def in_rooms(*rooms: str) -> list[str]:
    def top(name: str) -> str:
        return name.split(".")[1] if "." in name else ""

    return [name for name in modules() if name.startswith("bcecore.") and top(name) in rooms]


def test_the_dashboard_never_loads_torch() -> None:
    names = in_rooms(*IN_THE_DASHBOARD)
    assert len(names) > 25
    assert loaded_by(names, {"torch", "transformers", "accelerate", "datasets"}) == set()


def test_only_the_ui_loads_streamlit() -> None:
    names = in_rooms(*IN_THE_DASHBOARD[1:])
    assert loaded_by(names, {"streamlit", "torch", "transformers"}) == set()


def test_the_schedules_load_next_to_nothing() -> None:
    heavy = {"torch", "numpy", "pandas", "pydantic", "tokenizers", "pyarrow"}
    assert loaded_by(["bcecore.schedule", "bcecore.errors", "bcecore.files"], heavy) == set()


def test_the_command_line_starts_without_torch() -> None:
    assert loaded_by(["bcecore.__main__", "bcecore.cli"], {"torch", "transformers", "streamlit"}) == set()
